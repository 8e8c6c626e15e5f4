import Netfilter

/// The first packet of a connection, as the rules see it.
struct Packet {
    var source: IPAddress
    var destination: IPAddress?
    var transport = "tcp"
    var port: UInt16 = 0
    var echoRequest = false

    /// What happens to the packet in INPUT, worked out rule by rule.
    ///
    /// - Returns: nil when a rule has a condition that this walk does not know.
    func isAccepted(by rules: RuleSet) -> Bool? {
        guard let filter = rules["filter"], let number = decidingRule(in: filter) else { return nil }
        if number == 0 { return filter.chain("INPUT")?.policy == .accept }
        return filter.rules(in: "INPUT")[number - 1].target == .accept
    }

    /// The number of the INPUT rule, counted from 1, that accepts or drops the packet; 0 if the policy decides.
    ///
    /// - Returns: nil when a rule has a condition that this walk does not know.
    func decidingRule(in filter: Table) -> Int? {
        for (index, rule) in filter.rules(in: "INPUT").enumerated() {
            var matches = true
            for match in rule.matches {
                guard let holds = holds(match) else { return nil }
                matches = matches && holds
            }
            if matches, rule.target == .accept || rule.target == .drop { return index + 1 }
        }
        return 0
    }

    private func holds(_ match: Match) -> Bool? {
        switch match {
        case .source(let network, negated: false): network.contains(source)
        case .destination(let network, negated: false): destination.map { network.contains($0) } ?? false
        case .inInterface, .conntrack: false
        case .transport(let name, negated: false): name == transport
        case .ports(_, let from, let to): from == nil && to?.range.contains(port) == true
        case .multiport(.destination, let ranges, negated: false): ranges.contains { $0.contains(port) }
        case .icmp(let type, nil): echoRequest && type == 8
        case .icmpv6(let type, nil): echoRequest && type == 128
        case .hopLimit: false
        case .limit, .comment: true
        case .unknown(let words) where words.map(\.value) == ["-m", "ah"]: transport == "ah"
        // The first packet is within every limit.
        case .unknown(let words) where words.prefix(2).map(\.value) == ["-m", "hashlimit"]: true
        default: nil
        }
    }
}
