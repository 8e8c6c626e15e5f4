import Host
import Netfilter
import Policy
import SafeApply

/// What runs on this machine now and can be affected by a plan.
struct RunningServices: Sendable {
    /// The listeners that other machines can reach.
    let listeners: [PlanEffects.Listener]
    /// The published ports of containers.
    let published: PublishedServices

    /// Reads the sockets.
    init(published: PublishedServices, _ facts: FactSource) {
        let sockets = SocketTable(facts)
        listeners = ReachableListeners.reachable(sockets, facts).map { found in
            PlanEffects.Listener(
                program: found.program, port: found.port, transport: found.transport,
                peers: found.transport == .tcp
                    ? sockets.peers(ofPort: found.port) : [])
        }
        self.published = published
    }
}
