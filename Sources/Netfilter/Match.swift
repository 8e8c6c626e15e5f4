/// One condition of a rule.
///
/// A condition is typed only if its typed form prints exactly the bytes that were read; all others are kept as
/// `.unknown`, so that nothing is lost or rephrased.
package enum Match: Hashable, Sendable {
    case source(CIDR, negated: Bool = false)
    case destination(CIDR, negated: Bool = false)
    case inInterface(String, negated: Bool = false)
    case outInterface(String, negated: Bool = false)
    /// A protocol by name or number: `tcp`, `ipv6-icmp`, `esp`.
    case transport(String, negated: Bool = false)
    /// The source and destination port of `-m tcp` or `-m udp`.
    case ports(TransportProtocol, source: PortCondition? = nil, destination: PortCondition? = nil)
    case multiport(PortSide, [PortRange], negated: Bool = false)
    case conntrack([ConnectionState], negated: Bool = false)
    /// An ICMP type, with its code if there is one.
    case icmp(type: UInt8, code: UInt8? = nil)
    /// An ICMPv6 type, with its code if there is one.
    case icmpv6(type: UInt8, code: UInt8? = nil)
    /// The exact IPv6 hop limit.
    case hopLimit(UInt8)
    case limit(Rate, burst: UInt32? = nil)
    case comment(String)
    /// Anything else, word for word.
    case unknown([Word])

    /// One side's ports in `-m tcp` and `-m udp`.
    package struct PortCondition: Hashable, Sendable {
        /// The ports.
        package let range: PortRange
        /// Whether all ports except these are meant.
        package let negated: Bool

        /// The ports, or all except these.
        package init(_ range: PortRange, negated: Bool = false) {
            self.range = range
            self.negated = negated
        }
    }

    /// The port that a multiport match compares.
    package enum PortSide: String, CaseIterable, Hashable, Sendable {
        case source = "--sports"
        case destination = "--dports"
        case either = "--ports"
    }

    /// The connection-tracking states of a packet, in the order in which iptables prints them.
    package enum ConnectionState: String, CaseIterable, Hashable, Sendable {
        case invalid = "INVALID"
        case new = "NEW"
        case related = "RELATED"
        case established = "ESTABLISHED"
        case untracked = "UNTRACKED"
        case sourceNAT = "SNAT"
        case destinationNAT = "DNAT"
    }

    /// How often a limit matches: `5/min`.
    package struct Rate: Hashable, Sendable {
        /// The units as iptables abbreviates them.
        package enum Unit: String, CaseIterable, Hashable, Sendable {
            case second = "sec"
            case minute = "min"
            case hour
            case day
        }

        /// The number of packets.
        package let count: UInt32
        /// The unit of time.
        package let unit: Unit

        /// This many packets in one unit of time.
        package init(_ count: UInt32, per unit: Unit) {
            self.count = count
            self.unit = unit
        }
    }

    /// Anything that this type does not know, as words: `["-m", "mark", "--mark", "0x1"]`.
    package static func words(_ words: [String]) -> Match { .unknown(words.map { Word($0) }) }

    /// The condition as iptables-save prints it.
    package var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    /// Writes the condition as iptables-save prints it.
    func write(to text: inout String) {
        switch self {
        case .source(let network, let negated): Self.write("-s ", negated, network.canonical, to: &text)
        case .destination(let network, let negated): Self.write("-d ", negated, network.canonical, to: &text)
        case .inInterface(let name, let negated): Self.write("-i ", negated, name, to: &text)
        case .outInterface(let name, let negated): Self.write("-o ", negated, name, to: &text)
        case .transport(let name, let negated): Self.write("-p ", negated, name, to: &text)
        case .ports(let transport, let source, let destination):
            text += "-m "
            text += transport.rawValue
            if let source { Self.write(" ", "--sport ", source, to: &text) }
            if let destination { Self.write(" ", "--dport ", destination, to: &text) }
        case .multiport(let side, let ranges, let negated):
            text += negated ? "-m multiport ! " : "-m multiport "
            text += side.rawValue
            text += " "
            Self.write(ranges.lazy.map(\.iptablesText), to: &text)
        case .conntrack(let states, let negated):
            text += negated ? "-m conntrack ! --ctstate " : "-m conntrack --ctstate "
            Self.write(states.lazy.map(\.rawValue), to: &text)
        case .icmp(let type, let code):
            text += "-m icmp --icmp-type \(type)" + (code.map { "/\($0)" } ?? "")
        case .icmpv6(let type, let code):
            text += "-m icmp6 --icmpv6-type \(type)" + (code.map { "/\($0)" } ?? "")
        case .hopLimit(let hops): text += "-m hl --hl-eq \(hops)"
        case .limit(let rate, let burst):
            text += "-m limit --limit \(rate.count)/\(rate.unit.rawValue)"
            if let burst { text += " --limit-burst \(burst)" }
        case .comment(let comment):
            text += "-m comment --comment "
            text += Word.string(comment)
        case .unknown(let words): words.write(to: &text)
        }
    }

    private static func write(_ option: String, _ negated: Bool, _ value: String, to text: inout String) {
        if negated { text += "! " }
        text += option
        text += value
    }

    private static func write(_ blank: String, _ option: String, _ ports: PortCondition, to text: inout String) {
        text += blank
        write(option, ports.negated, ports.range.iptablesText, to: &text)
    }

    /// Writes a list, separated by commas.
    private static func write(_ values: some Sequence<String>, to text: inout String) {
        var isFirst = true
        for value in values {
            if !isFirst { text += "," }
            text += value
            isFirst = false
        }
    }
}
