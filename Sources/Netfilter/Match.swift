/// One condition of a rule.
///
/// A condition is typed only if its typed form prints the very bytes that were read; all else is carried through as
/// `.unknown`, so that nothing is ever lost or reworded.
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
    /// An ICMP type, with its code where there is one.
    case icmp(type: UInt8, code: UInt8? = nil)
    /// An ICMPv6 type, with its code where there is one.
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
        /// Whether all other ports are meant.
        package let negated: Bool

        /// The ports, or all others.
        package init(_ range: PortRange, negated: Bool = false) {
            self.range = range
            self.negated = negated
        }
    }

    /// The port that a multiport match looks at.
    package enum PortSide: String, CaseIterable, Hashable, Sendable {
        case source = "--sports"
        case destination = "--dports"
        case either = "--ports"
    }

    /// What connection tracking knows of a packet's connection, in the order iptables prints them.
    package enum ConnectionState: String, CaseIterable, Hashable, Sendable {
        case invalid = "INVALID"
        case new = "NEW"
        case related = "RELATED"
        case established = "ESTABLISHED"
        case untracked = "UNTRACKED"
        case sourceNAT = "SNAT"
        case destinationNAT = "DNAT"
    }

    /// How often a limit lets a packet through: `5/min`.
    package struct Rate: Hashable, Sendable {
        /// The units as iptables abbreviates them.
        package enum Unit: String, CaseIterable, Hashable, Sendable {
            case second = "sec"
            case minute = "min"
            case hour
            case day
        }

        /// How many packets.
        package let count: UInt32
        /// In how long.
        package let unit: Unit

        /// So many packets in one unit of time.
        package init(_ count: UInt32, per unit: Unit) {
            self.count = count
            self.unit = unit
        }
    }

    /// Whatever iptables knows and this type does not, from its words: `["-m", "mark", "--mark", "0x1"]`.
    package static func words(_ words: [String]) -> Match { .unknown(words.map { Word($0) }) }

    /// The condition as iptables-save prints it.
    package var text: String {
        switch self {
        case .source(let network, let negated): Self.negation(negated) + "-s \(network.canonical)"
        case .destination(let network, let negated): Self.negation(negated) + "-d \(network.canonical)"
        case .inInterface(let name, let negated): Self.negation(negated) + "-i \(name)"
        case .outInterface(let name, let negated): Self.negation(negated) + "-o \(name)"
        case .transport(let name, let negated): Self.negation(negated) + "-p \(name)"
        case .ports(let transport, let source, let destination):
            "-m \(transport.rawValue)" + (source.map { Self.text("--sport", $0) } ?? "")
                + (destination.map { Self.text("--dport", $0) } ?? "")
        case .multiport(let side, let ranges, let negated):
            "-m multiport \(Self.negation(negated))\(side.rawValue) "
                + ranges.map(\.iptablesText).joined(separator: ",")
        case .conntrack(let states, let negated):
            "-m conntrack \(Self.negation(negated))--ctstate " + states.map(\.rawValue).joined(separator: ",")
        case .icmp(let type, let code): "-m icmp --icmp-type \(type)" + (code.map { "/\($0)" } ?? "")
        case .icmpv6(let type, let code): "-m icmp6 --icmpv6-type \(type)" + (code.map { "/\($0)" } ?? "")
        case .hopLimit(let hops): "-m hl --hl-eq \(hops)"
        case .limit(let rate, let burst):
            "-m limit --limit \(rate.count)/\(rate.unit.rawValue)" + (burst.map { " --limit-burst \($0)" } ?? "")
        case .comment(let text): "-m comment --comment \(Word.string(text))"
        case .unknown(let words): words.spelled
        }
    }

    private static func negation(_ negated: Bool) -> String { negated ? "! " : "" }

    private static func text(_ option: String, _ ports: PortCondition) -> String {
        " \(negation(ports.negated))\(option) \(ports.range.iptablesText)"
    }
}
