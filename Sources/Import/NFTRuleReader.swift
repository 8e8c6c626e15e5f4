import Netfilter
import Policy

/// Reads one rule of nft from a viewpoint.
struct NFTRuleReader {
    private let viewpoint: Viewpoint
    private let sets: [String: [String]]
    private let text: String
    private var conditions = FilterConditions()
    private var unknown: [String] = []
    private var limit: String?
    /// The values of a map, which end the rule.
    private var branches: [FilterRule]?

    /// The rules that a line stands for: several for a map of verdicts, none if it concerns no packet that begins
    /// something, seen from here.
    ///
    /// - Parameters:
    ///   - line: the rule as nft lists it.
    ///   - viewpoint: where the packet comes in.
    ///   - sets: the elements of the table's named sets and maps.
    /// - Returns: the rules, in order.
    static func read(_ line: String, from viewpoint: Viewpoint, sets: [String: [String]]) -> [FilterRule] {
        var reader = NFTRuleReader(viewpoint: viewpoint, sets: sets, text: line)
        var words = NFTWords.split(line)[...]
        while !words.isEmpty {
            let before = words
            switch reader.condition(&words) {
            case true?: continue
            case false?: return []
            case nil:
                // What is not understood is a condition up to the verdict.
                words = before
                let odd = words.prefix { !Self.ends.contains($0) }
                reader.unknown.append(odd.isEmpty ? line : odd.joined(separator: " "))
                words = words.dropFirst(odd.count)
                if odd.isEmpty { words = [] }
            }
            if reader.verdict != nil || reader.branches != nil { break }
        }
        return reader.result
    }

    private static let ends: Set<String> = ["accept", "drop", "reject", "jump", "goto", "return", "queue", "counter"]
    private var verdict: FilterVerdict?

    private init(viewpoint: Viewpoint, sets: [String: [String]], text: String) {
        self.viewpoint = viewpoint
        self.sets = sets
        self.text = text
    }

    // MARK: - Conditions

    /// Reads a condition or statement from the front; false if it never holds here, nil if it is not understood.
    private mutating func condition(_ words: inout ArraySlice<String>) -> Bool? {
        let first = words.removeFirst()
        let second = words.first ?? ""
        switch first {
        case "counter":
            if second == "packets" {
                words = words.dropFirst(4)
            } else if second == "name" {
                words = words.dropFirst(2)
            }
            return true
        case "comment":
            words = words.dropFirst()
            return true
        case "log":
            while let option = words.first,
                ["prefix", "level", "flags", "group", "snaplen", "queue-threshold"].contains(option)
            {
                words = words.dropFirst(2)
            }
            return true
        case "limit":
            let count = words.prefix { !Self.ends.contains($0) && $0 != "log" && $0 != "comment" }.count
            let text = "limit " + words.prefix(count).joined(separator: " ")
            if words.contains("over") { unknown.append(text) } else { limit = text }
            words = words.dropFirst(count)
            return true
        case "accept", "drop", "reject", "return", "continue", "jump", "goto":
            verdict = NFTValues.verdict([first, second])
            words = []
            return true
        case "queue":
            verdict = .unknown("queue")
            words = []
            return true
        case "tcp", "udp", "th":
            words.removeFirst(min(1, words.count))
            return port(first, second, &words)
        case "ip", "ip6":
            words.removeFirst(min(1, words.count))
            return address(first == "ip" ? .ipv4 : .ipv6, second, &words)
        case "icmp", "icmpv6":
            words.removeFirst(min(1, words.count))
            guard second == "type" else { return nil }
            guard first == (viewpoint.family == .ipv4 ? "icmp" : "icmpv6") else { return false }
            return compare(&words) { Self.icmp($0) }
        case "iifname", "iif": return interface(&words)
        case "oif", "oifname": return false
        case "ct":
            words.removeFirst(min(1, words.count))
            return second == "state" ? state(&words) : nil
        case "meta":
            words.removeFirst(min(1, words.count))
            return meta(second, &words)
        case "l4proto", "nfproto", "pkttype": return meta(first, &words)
        case "fib": return fib(&words)
        default: return nil
        }
    }

    private mutating func meta(_ key: String, _ words: inout ArraySlice<String>) -> Bool? {
        switch key {
        case "l4proto":
            let family = viewpoint.family
            return compare(&words) { Self.transport($0, family) }
        case "nfproto":
            let family = viewpoint.family
            return match(&words) { $0 == (family == .ipv4 ? "ipv4" : "ipv6") }
        case "protocol":
            let family = viewpoint.family
            return match(&words) { $0 == (family == .ipv4 ? "ip" : "ip6") }
        case "pkttype": return match(&words) { $0 == "host" || $0 == "unicast" }
        case "iifname", "iif": return interface(&words)
        default: return nil
        }
    }

    private mutating func interface(_ words: inout ArraySlice<String>) -> Bool? {
        let viewpoint = viewpoint
        let before = words
        if let isHere = match(&words, { viewpoint.isInterface($0, wildcard: "*") ?? false }) {
            guard !isHere, verdict == nil else { return isHere }
            // An interface that is not there now may come; nothing is blocked on it meanwhile.
            var rest = before
            guard !Self.isNegated(&rest), case .values(let names)? = NFTValues.read(&rest, sets: sets),
                names.contains(where: { viewpoint.isInterface($0, wildcard: "*") == nil }), !text.isBlock
            else { return false }
            unknown.append("iifname \(names.joined(separator: ", "))")
            return true
        }
        return nil
    }

    private mutating func state(_ words: inout ArraySlice<String>) -> Bool? { match(&words) { $0 == "new" } }

    /// `fib daddr type local`; the test of the way back concerns forged packets only.
    private mutating func fib(_ words: inout ArraySlice<String>) -> Bool? {
        let key = words.prefix { !["type", "oif", "oifname"].contains($0) }
        words = words.dropFirst(key.count)
        let result = words.popFirst()
        if result == "type", key.contains("daddr") { return match(&words) { $0 == "local" } }
        if result == "type", key.contains("saddr") { return match(&words) { $0 == "unicast" } }
        return key.contains("saddr") ? false : nil
    }

    /// Compares what is known here: false if the packet does not match.
    private mutating func match(_ words: inout ArraySlice<String>, _ isIt: (String) -> Bool) -> Bool? {
        let negated = Self.isNegated(&words)
        switch NFTValues.read(&words, sets: sets) {
        case .values(let values): return values.contains(where: isIt) != negated
        case .verdicts(let pairs):
            guard let pair = pairs.first(where: { isIt($0.value) }) else { return false }
            verdict = pair.verdict
            words = []
            return true
        case nil: return nil
        }
    }

    /// Narrows the traffic to that of the values.
    private mutating func compare(_ words: inout ArraySlice<String>, _ read: (String) -> Traffic?) -> Bool? {
        let negated = Self.isNegated(&words)
        switch NFTValues.read(&words, sets: sets) {
        case .values(let values):
            guard let traffic = Self.traffic(values, read) else { return nil }
            let wanted = negated ? Traffic.all.subtracting(traffic) : traffic
            conditions.traffic = conditions.traffic.intersection(wanted)
            return !conditions.traffic.isEmpty
        case .verdicts(let pairs):
            var rules: [FilterRule] = []
            for pair in pairs {
                guard let traffic = read(pair.value) else { return nil }
                var own = conditions
                own.traffic = conditions.traffic.intersection(traffic)
                if own.traffic.isEmpty { continue }
                rules.append(FilterRule(text, own, pair.verdict))
            }
            branches = rules
            words = []
            return true
        case nil: return nil
        }
    }

    private static func traffic(_ values: [String], _ read: (String) -> Traffic?) -> Traffic? {
        var all = Traffic.none
        for value in values {
            guard let one = read(value) else { return nil }
            all = all.union(one)
        }
        return all
    }

    private static func isNegated(_ words: inout ArraySlice<String>) -> Bool {
        if words.first == "==" { words.removeFirst() }
        guard words.first == "!=" else { return false }
        words.removeFirst()
        return true
    }

    private mutating func port(_ name: String, _ key: String, _ words: inout ArraySlice<String>) -> Bool? {
        let transports: Traffic =
            switch name {
            case "tcp": Traffic(tcp: .all)
            case "udp": Traffic(udp: .all)
            default: Traffic(tcp: .all, udp: .all)
            }
        conditions.traffic = conditions.traffic.intersection(transports)
        if conditions.traffic.isEmpty { return false }
        if key == "flags" { return flags(&words) }
        guard key == "dport" else { return nil }
        return compare(&words) { value in
            guard let ports = Self.ports(value) else { return nil }
            return Traffic(tcp: ports, udp: ports).intersection(transports)
        }
    }

    /// `tcp flags syn / fin,syn,rst,ack` and its older form `tcp flags & (fin|syn|rst|ack) == syn`.
    private mutating func flags(_ words: inout ArraySlice<String>) -> Bool? {
        func list(_ text: String) -> Set<Substring> {
            Set(text.split { "|,()".contains($0) }.filter { $0 != "0x0" })
        }
        if words.first == "&" {
            let rest = Array(words.prefix { !Self.ends.contains($0) && $0 != "log" && $0 != "ct" })
            let text = rest.dropFirst().joined(separator: " ")
            for sign in ["!=", "=="] {
                guard let place = text.firstRange(of: sign) else { continue }
                let mask = list(text[..<place.lowerBound].filter { $0 != " " })
                let wanted = list(text[place.upperBound...].filter { $0 != " " })
                words = words.dropFirst(rest.count)
                return (mask.intersection(["syn"]) == wanted) == (sign == "==")
            }
            return nil
        }
        let negated = Self.isNegated(&words)
        let values = words.prefix { $0 != "/" && !Self.ends.contains($0) }
        guard words.dropFirst(values.count).first == "/" else { return nil }
        let mask = words.dropFirst(values.count + 1).prefix { !Self.ends.contains($0) && $0 != "log" && $0 != "ct" }
        words = words.dropFirst(values.count + 1 + mask.count)
        let isMatch = list(mask.joined()).intersection(["syn"]) == list(values.joined())
        return isMatch != negated
    }

    private mutating func address(_ family: Family, _ key: String, _ words: inout ArraySlice<String>) -> Bool? {
        guard family == viewpoint.family else { return false }
        switch key {
        case "protocol", "nexthdr": return compare(&words) { Self.transport($0, family) }
        case "saddr":
            let negated = Self.isNegated(&words)
            switch NFTValues.read(&words, sets: sets) {
            case .values(let values):
                guard let networks = Self.networks(values) else { return nil }
                if negated {
                    conditions.except += networks
                    return true
                }
                var own = FilterConditions()
                own.sources = networks
                guard let both = conditions.and(own) else { return false }
                conditions = both
                return true
            case .verdicts(let pairs):
                branches = []
                for pair in pairs {
                    guard let networks = Self.networks([pair.value]) else { return nil }
                    var own = conditions
                    own.sources = networks
                    branches?.append(FilterRule(text, own, pair.verdict))
                }
                words = []
                return true
            case nil: return nil
            }
        case "daddr":
            let negated = Self.isNegated(&words)
            guard case .values(let values)? = NFTValues.read(&words, sets: sets),
                let networks = Self.networks(values)
            else { return nil }
            switch viewpoint.destination(networks) {
            case .every: return !negated
            case .never where text.isBlock || negated: return negated
            case .groups(let groups):
                if !negated { conditions.groups = groups }
                return true
            case .never, .some: return nil
            }
        default: return nil
        }
    }

    // MARK: - Values

    private static func networks(_ values: [String]) -> [CIDR]? {
        var networks: [CIDR] = []
        for value in values {
            if let network = try? CIDR(parsing: value) {
                networks.append(network)
            } else if let several = CIDR.range(value) {
                networks += several
            } else {
                return nil
            }
        }
        return networks
    }

    private static func ports(_ text: String) -> PortSet? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { names[$0] ?? UInt16($0) }
        guard let lower = ends.first ?? nil, let upper = ends.last ?? nil, ends.count <= 2 else { return nil }
        return (try? PortRange(validating: max(lower, 1), upper)).map { PortSet([$0]) }
    }

    /// The names that nft prints for ports only where it is asked to; people write them.
    private static let names: [Substring: UInt16] = [
        "ssh": 22, "http": 80, "https": 443, "domain": 53, "smtp": 25, "ntp": 123, "imap": 143, "imaps": 993,
        "submission": 587, "ftp": 21,
    ]

    private static func transport(_ name: String, _ family: Family) -> Traffic? {
        switch name {
        case "tcp", "6": Traffic(tcp: .all)
        case "udp", "17": Traffic(udp: .all)
        case "icmp", "1": family == .ipv4 ? .icmp : Traffic(others: true)
        case "ipv6-icmp", "icmpv6", "58": family == .ipv6 ? .icmp : Traffic(others: true)
        case "esp", "50": Traffic(protocols: [.esp])
        case "ah", "51": Traffic(protocols: [.ah])
        default: Traffic(others: true)
        }
    }

    private static func icmp(_ type: String) -> Traffic {
        ["echo-request", "8", "128"].contains(type) ? .ping : Traffic(messages: true)
    }

    // MARK: - Result

    private var result: [FilterRule] {
        let rules = branches ?? [FilterRule(text, conditions, verdict ?? .none)]
        return rules.map { rule in
            var rule = rule
            rule.conditions.unknown = unknown
            if let limit {
                rule.conditions.isOnlyLimited = unknown.isEmpty
                rule.conditions.unknown.append(limit)
            }
            return rule
        }
    }
}

extension String {
    /// Whether a rule with this text blocks what it matches.
    fileprivate var isBlock: Bool {
        let words = NFTWords.split(self)
        return words.contains("drop") || words.contains("reject")
    }
}
