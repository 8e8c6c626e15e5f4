import Host
import Netfilter
import Policy
import Rehearsal

/// What of this machine a stage is made to look like.
struct RehearsingMachine: Sendable {
    /// The name of the interface over which the world comes in.
    let interfaceName: String
    /// Its addresses, one a family; a family without one gets an address of nobody's.
    let addresses: [StageAddresses.Interface]
    /// Ports on which something listens for others than this machine.
    let listening: [PortSpec]

    /// Looks at this machine.
    ///
    /// - Parameter families: the families that the kernel has.
    init(families: [Family]) {
        let own = ownAddresses().filter { $0.isUp && $0.scope == .global }
        let routes = NetworkFacts().defaultRoutes
        let main =
            routes.map(\.interface).first { name in own.contains { $0.interface == name } } ?? own.first?.interface
        interfaceName = main ?? "eth0"
        addresses = families.compactMap { family in
            let ofFamily = own.filter { $0.address.isIPv6 == (family == .ipv6) }
            let found = ofFamily.first { $0.interface == main } ?? ofFamily.first
            if let found, let address = try? IPAddress(parsing: "\(found.address)") {
                // No neighbours of its own: every address of the outside is one cable away.
                return StageAddresses.Interface(address, prefixLength: family == .ipv4 ? 32 : 128)
            }
            return StageAddresses.documentation.server.first { $0.address.family == family }
        }
        listening = Set(
            Host.listeners().filter { !$0.isLocalOnly && !$0.isEphemeral }.map { found in
                PortSpec(range: PortRange(found.port), transport: found.transport == .tcp ? .tcp : .udp)
            }
        ).sorted()
    }
}
