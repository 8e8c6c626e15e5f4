import Netfilter
import Policy

/// Reads one rule of iptables from a viewpoint.
struct IPTablesRuleReader {
    private let viewpoint: Viewpoint
    /// Whether the rule blocks packets.
    private let isBlock: Bool
    private var conditions = FilterConditions()
    /// The protocol: `tcp`, `udp`, `icmp`, another one, or nil for any.
    private var transport: String?
    private var isNegatedTransport = false
    private var ports: PortSet?
    private var icmpType: String?
    private var unknown: [String] = []
    private var limit: String?
    private var addressLimit: AddressLimit?

    /// What the rule means; nil if it concerns no packet that begins something, seen from here.
    ///
    /// - Parameters:
    ///   - rule: the rule.
    ///   - title: what to call it.
    ///   - viewpoint: where the packet comes in.
    ///   - chains: the chains of its table.
    /// - Returns: the rule.
    static func read(
        _ rule: Rule, title: String, from viewpoint: Viewpoint, chains: Set<String> = []
    ) -> FilterRule? {
        let verdict = verdict(rule, chains)
        var reader = IPTablesRuleReader(viewpoint, isBlock: verdict == .block)
        for match in rule.matches {
            guard reader.read(match) else { return nil }
        }
        // People write conditions behind the target, too.
        if case .unknown(let words) = rule.target, words.count > 2,
            ["ACCEPT", "DROP", "RETURN"].contains(words[1].value) || chains.contains(words[1].value)
        {
            guard reader.read(words.dropFirst(2).map(\.value)) else { return nil }
        }
        guard let conditions = reader.result else { return nil }
        return FilterRule(title, conditions, verdict)
    }

    private init(_ viewpoint: Viewpoint, isBlock: Bool) {
        self.viewpoint = viewpoint
        self.isBlock = isBlock
    }

    private static func verdict(_ rule: Rule, _ chains: Set<String>) -> FilterVerdict {
        switch rule.target {
        case .accept: return .accept
        case .drop, .reject: return .block
        case .return: return .return
        case .log, nil: return .none
        case .jump(let chain): return .jump(chain)
        case .goto(let chain): return .goto(chain)
        case .unknown(let words):
            let values = words.map(\.value)
            if let chain = rule.jumpsTo {
                return values[0] == "-g" || values[0] == "--goto" ? .goto(chain) : .jump(chain)
            }
            guard values.count >= 2 else { return .unknown(rule.target?.text ?? "") }
            if chains.contains(values[1]) { return values[0] == "-g" ? .goto(values[1]) : .jump(values[1]) }
            switch values[1] {
            case "ACCEPT": return .accept
            case "DROP", "REJECT", "TARPIT", "STEAL": return .block
            case "RETURN": return .return
            case "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "SET", "AUDIT", "TRACE", "CHECKSUM", "CLASSIFY", "TEE",
                "CONNSECMARK", "SECMARK", "DSCP", "TOS", "TTL", "HL", "TCPMSS", "RATEEST", "LED", "IDLETIMER":
                return .none
            default: return .unknown(rule.target?.text ?? "")
            }
        }
    }

    // MARK: - Conditions

    /// Adds a condition; false if it never holds here.
    private mutating func read(_ match: Match) -> Bool {
        switch match {
        case .comment: return true
        case .source(let network, let negated):
            if negated { conditions.except.append(network) } else { conditions.sources = [network] }
            return true
        case .destination(let network, let negated): return destination(network, negated, match.text)
        case .inInterface(let name, let negated): return interface(name, negated)
        case .outInterface: return false
        case .transport(let name, let negated): return transport(name, negated)
        case .ports(_, let source, let destination):
            if let source { unknown.append("--sport \(source.range.iptablesText)") }
            if let destination { add(PortSet([destination.range]), destination.negated) }
            return true
        case .multiport(let side, let ranges, let negated):
            if side == .destination { add(PortSet(ranges), negated) } else { unknown.append(match.text) }
            return true
        case .conntrack(let states, let negated): return state(states.map(\.rawValue), negated)
        case .icmp(let type, let code):
            icmpType = code == nil || code == 0 ? "\(type)" : "\(type)/\(code ?? 0)"
            return true
        case .icmpv6(let type, _):
            icmpType = "\(type)"
            return true
        case .hopLimit(let hops): return hops != 255 || transport != "icmp"
        case .limit:
            limit = match.text
            return true
        case .unknown(let words): return read(words.map(\.value))
        }
    }

    /// Adds conditions in words, in the order of iptables-save or of a person.
    private mutating func read(_ words: [String]) -> Bool {
        if words.first == "-m", words.count > 2 {
            let (module, options) = (words[1], words.dropFirst(2))
            // It only notes the address.
            if module == "recent", options.contains("--set"), !options.contains("!") { return true }
            if let limit = AddressLimit(module, options) {
                addressLimit = limit
                unknown.append(words.joined(separator: " "))
                return true
            }
        }
        var rest = words[...]
        var module = ""
        while let word = rest.popFirst() {
            var negated = false
            var option = word
            if word == "!" {
                negated = true
                option = rest.popFirst() ?? ""
            }
            switch option {
            case "-m", "--match":
                module = rest.popFirst() ?? ""
                // `-m rt` alone, or an extension without options, is a condition of its own.
                if rest.isEmpty, !["tcp", "udp", "icmp", "icmp6", "comment", "conntrack", "state"].contains(module) {
                    unknown.append("-m \(module)")
                }
                if ["rt", "rpfilter", "ipv6header", "frag", "eui64"].contains(module) { return false }
            case "--comment": _ = rest.popFirst()
            case "-f", "--fragment": if !negated { return false }
            case "--syn": if negated { return false }
            case "--tcp-flags":
                let (mask, wanted) = (Self.list(rest.popFirst()), Self.list(rest.popFirst()))
                let isMatch = mask.intersection(["SYN"]) == wanted
                if isMatch == negated { return false }
            default:
                guard let value = rest.popFirst() else {
                    unknown.append(option)
                    return true
                }
                guard let isMet = read(option, value, negated, module) else {
                    // The rest belongs to the same extension.
                    unknown.append(
                        (["-m", module, negated ? "!" : "", option, value] + rest).filter { !$0.isEmpty }
                            .joined(separator: " "))
                    return true
                }
                if !isMet { return false }
            }
        }
        return true
    }

    private static func list(_ text: String?) -> Set<String> {
        let flags = Set((text ?? "").uppercased().split(separator: ",").map(String.init))
        return flags.contains("ALL") ? ["SYN", "ACK", "FIN", "RST", "URG", "PSH"] : flags.subtracting(["NONE"])
    }

    /// Adds an option with a value; false if it never holds here, nil if answers cannot say it.
    private mutating func read(_ option: String, _ value: String, _ negated: Bool, _ module: String) -> Bool? {
        switch option {
        case "-s", "--source", "--src":
            let networks = value.split(separator: ",").compactMap { Self.network(String($0)) }
            guard networks.count == value.split(separator: ",").count else { return nil }
            if networks.contains(where: { $0.family != viewpoint.family }) { return false }
            if negated { conditions.except += networks } else { conditions.sources = networks }
            return true
        case "-d", "--destination", "--dst":
            guard let network = Self.network(value) else { return nil }
            return destination(network, negated, "-d \(value)")
        case "-i", "--in-interface": return interface(value, negated)
        case "-o", "--out-interface": return false
        case "-p", "--protocol", "--proto": return transport(value, negated)
        case "--dport", "--destination-port", "--dports", "--destination-ports":
            let ranges = value.split(separator: ",").compactMap { Self.range(String($0)) }
            guard ranges.count == value.split(separator: ",").count else { return nil }
            add(PortSet(ranges), negated)
            return true
        case "--sport", "--source-port", "--sports", "--source-ports":
            unknown.append("\(negated ? "! " : "")\(option) \(value)")
            return true
        case "--ctstate", "--state": return state(value.split(separator: ",").map(String.init), negated)
        case "--icmp-type", "--icmpv6-type":
            if negated { return nil }
            icmpType = value
            return true
        case "--dst-type":
            let isMet = value.split(separator: ",").contains("LOCAL")
            return isMet != negated
        case "--src-type":
            let isMet = value.split(separator: ",").contains("UNICAST")
            return isMet != negated
        case "--hl-eq": return value != "255" || transport != "icmp"
        case "--limit":
            limit = "-m limit --limit \(value)"
            return true
        case "--limit-burst" where limit != nil: return true
        case "--pkt-type":
            return (value == "host") != negated
        case "--src-range":
            guard !negated, let networks = CIDR.range(value) else { return nil }
            conditions.sources = networks
            return true
        default: return nil
        }
    }

    private static func network(_ text: String) -> CIDR? {
        if let network = try? CIDR(parsing: text) { return network }
        // iptables takes host bits, and netmasks with dots.
        let parts = text.split(separator: "/")
        guard parts.count == 2, let address = try? IPAddress(parsing: String(parts[0])) else { return nil }
        if let length = Int(parts[1]) { return CIDR(of: address, prefixLength: length) }
        guard let mask = try? IPAddress(parsing: String(parts[1])), mask.family == address.family else { return nil }
        let length = mask.bytes.reduce(0) { $0 + $1.nonzeroBitCount }
        let ones = IPAddress(bytes: mask.bytes.map { _ in 255 }).flatMap { CIDR(of: $0, prefixLength: length) }
        return ones?.address == mask ? CIDR(of: address, prefixLength: length) : nil
    }

    private static func range(_ text: String) -> PortRange? {
        let ends = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let first = ends.first, let last = ends.last, ends.count <= 2 else { return nil }
        let lower = ends.count == 2 && first.isEmpty ? 1 : UInt16(first)
        let upper = ends.count == 2 && last.isEmpty ? .max : UInt16(last)
        guard let lower, let upper else { return nil }
        return try? PortRange(validating: max(lower, 1), upper)
    }

    private mutating func add(_ some: PortSet, _ negated: Bool) {
        let wanted = negated ? some.complement : some
        ports = ports.map { $0.intersection(wanted) } ?? wanted
    }

    private mutating func transport(_ name: String, _ negated: Bool) -> Bool {
        transport = Self.names[name] ?? name
        isNegatedTransport = negated
        return true
    }

    /// Other names of protocols, and their numbers.
    private static let names = [
        "6": "tcp", "17": "udp", "1": "icmp", "58": "icmp", "icmpv6": "icmp", "ipv6-icmp": "icmp", "50": "esp",
        "51": "ah", "0": "all",
    ]

    private mutating func interface(_ name: String, _ negated: Bool) -> Bool {
        let isHere = viewpoint.isInterface(name, wildcard: "+")
        // An interface that is not there now may come; nothing is blocked on it meanwhile.
        if isHere == nil, !negated, !isBlock { unknown.append("-i \(name)") }
        return isHere.map { $0 != negated } ?? (negated || !isBlock)
    }

    private mutating func destination(_ network: CIDR, _ negated: Bool, _ text: String) -> Bool {
        switch viewpoint.destination([network]) {
        case .every: return !negated
        case .never where isBlock || negated || network.family != viewpoint.family: return negated
        case .groups(let groups):
            if !negated { conditions.groups = groups }
            return true
        case .never, .some:
            unknown.append((negated ? "! " : "") + text)
            return true
        }
    }

    /// Whether new connections are among the states.
    private func state(_ states: [String], _ negated: Bool) -> Bool { states.contains("NEW") != negated }

    // MARK: - Result

    private var result: FilterConditions? {
        var result = conditions
        guard let traffic else { return nil }
        result.traffic = traffic
        result.unknown = unknown
        result.addressLimit = addressLimit
        if let limit {
            result.isOnlyLimited = unknown.isEmpty
            result.unknown.append(limit)
        }
        return result
    }

    private var traffic: Traffic? {
        var traffic: Traffic
        switch transport {
        case nil, "all": traffic = .all
        case "tcp": traffic = Traffic(tcp: .all)
        case "udp": traffic = Traffic(udp: .all)
        case "udplite", "sctp", "dccp": return Traffic(others: true)
        case "icmp": traffic = icmp
        case "esp": traffic = Traffic(protocols: [.esp])
        case "ah": traffic = Traffic(protocols: [.ah])
        default: traffic = Traffic(others: true)
        }
        if isNegatedTransport { traffic = Traffic.all.subtracting(traffic) }
        if let ports {
            traffic = traffic.intersection(Traffic(tcp: ports, udp: ports))
            if traffic.isEmpty { return nil }
        }
        return traffic
    }

    private var icmp: Traffic {
        switch icmpType {
        case nil, "any", "255": .icmp
        case "echo-request", "ping": .ping
        case "8", "8/0": viewpoint.family == .ipv4 ? .ping : Traffic(messages: true)
        case "128", "128/0": viewpoint.family == .ipv6 ? .ping : Traffic(messages: true)
        default: Traffic(messages: true)
        }
    }
}
