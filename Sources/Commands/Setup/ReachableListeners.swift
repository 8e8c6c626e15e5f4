import Host
import Netfilter
import Policy

/// The listening sockets of this machine.
enum ReachableListeners {
    /// All listening sockets, without UDP sockets that only wait for a reply: those on an ephemeral port that no known
    /// service uses (such as WireGuard's 51820).
    static func all(_ table: SocketTable, _ facts: FactSource) -> [Host.Listener] {
        listeners(facts, table: table).filter { !$0.isEphemeral || known.contains($0.port) }
    }

    /// The listening sockets that other machines can reach.
    static func reachable(_ table: SocketTable, _ facts: FactSource) -> [Host.Listener] {
        all(table, facts).filter { !$0.isLocalOnly }
    }

    private static let known: Set<UInt16> = {
        let ports = (try? TemplateCatalog.builtIn())?.all.flatMap(\.ports) ?? []
        // Services with a port range, such as mosh, don't count: any program may use a port in the range.
        return Set(ports.filter { $0.transport == .udp && $0.range.lower == $0.range.upper }.map(\.range.lower))
    }()
}
