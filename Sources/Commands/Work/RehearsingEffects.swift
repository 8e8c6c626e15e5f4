import Host
import Netfilter
import Policy
import SafeApply

/// What runs on this machine now, as far as a plan changes its life.
struct PresentLife: Sendable {
    /// What others than this machine can reach.
    let listeners: [PlanEffects.Listener]
    /// Ports that the rules in force send past INPUT.
    let published: [PlanEffects.Published]

    /// Looks at the sockets, and at the rules in force where they could be read.
    init(live: PerFamily<RuleSet>?) {
        let sockets = SocketTable()
        listeners = AwaitingListeners.reachable(sockets).map { found in
            PlanEffects.Listener(
                program: found.program, port: found.port, transport: found.transport == .tcp ? .tcp : .udp,
                peers: found.transport == .tcp
                    ? sockets.peers(ofPort: found.port).compactMap { try? IPAddress(parsing: "\($0)") } : [])
        }
        var seen: Set<PlanEffects.Published> = []
        published = (live?.present ?? []).flatMap { Self.published(in: $0.value) }.filter {
            seen.insert($0).inserted
        }
    }

    /// The ports that rules of nat send elsewhere before INPUT sees them.
    static func published(in rules: RuleSet) -> [PlanEffects.Published] {
        (rules["nat"]?.rules ?? []).compactMap { rule in
            let words = (rule.target?.text ?? "").split(separator: " ")
            guard words.count >= 4, words[1] == "DNAT", words[2] == "--to-destination" else { return nil }
            for case .ports(let transport, _, let destination?) in rule.matches where !destination.negated {
                return PlanEffects.Published(
                    PortSpec(range: destination.range, transport: transport), to: String(words[3]))
            }
            return nil
        }
    }
}
