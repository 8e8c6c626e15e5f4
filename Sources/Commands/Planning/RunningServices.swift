import Host
import Netfilter
import Policy
import SafeApply

/// What runs on this machine now and a plan may cut off.
struct RunningServices: Sendable {
    /// What others than this machine can reach.
    let listeners: [PlanEffects.Listener]
    /// Ports that the rules in force send past INPUT.
    let published: [PlanEffects.Published]

    /// Looks at the sockets, and at the rules in force where they could be read.
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

    /// The ports that rules of nat send elsewhere before INPUT sees them; all of them, where a rule names none.
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
