import Host
import Netfilter
import Policy
import SafeApply

/// What runs on this machine now and can be affected by a plan.
struct RunningServices: Sendable {
    /// The listeners that other machines can reach.
    let listeners: [PlanEffects.Listener]
    /// The ports that the active rules forward, so that their packets bypass INPUT.
    let published: [PlanEffects.Published]

    /// Reads the sockets, and the active rules if they could be read.
    init(live: PerFamily<RuleSet>?, _ facts: FactSource) {
        let sockets = SocketTable(facts)
        listeners = ReachableListeners.reachable(sockets, facts).map { found in
            PlanEffects.Listener(
                program: found.program, port: found.port, transport: found.transport,
                peers: found.transport == .tcp
                    ? sockets.peers(ofPort: found.port) : [])
        }
        var seen: Set<PlanEffects.Published> = []
        published = (live?.present ?? []).flatMap { Self.published(in: $0.value) }.filter {
            seen.insert($0).inserted
        }
    }

    /// The ports that nat rules forward before INPUT sees the packets; all ports, if a rule names none.
    static func published(in rules: RuleSet) -> [PlanEffects.Published] {
        (rules["nat"]?.rules ?? []).filter { $0.chain != "OUTPUT" }.flatMap { rule -> [PlanEffects.Published] in
            let words = (rule.target?.text ?? "").split(separator: " ")
            guard words.count >= 4, words[1] == "DNAT", words[2] == "--to-destination" else { return [] }
            var transports = TransportProtocol.allCases
            var ranges: [PortRange] = []
            for match in rule.matches {
                switch match {
                case .transport(let name, false): transports = [TransportProtocol(rawValue: name)].compactMap(\.self)
                case .ports(_, _, let destination?) where !destination.negated: ranges.append(destination.range)
                case .multiport(.destination, let several, false): ranges += several
                default: break
                }
            }
            if ranges.isEmpty { ranges = [PortRange(lower: 1, upper: .max)] }
            return transports.flatMap { transport in
                ranges.map { PlanEffects.Published(PortSpec(range: $0, transport: transport), to: String(words[3])) }
            }
        }
    }
}
