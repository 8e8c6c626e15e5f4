import Host
import Netfilter
import Policy

/// What waits here for others.
enum ReachableListeners {
    /// The sockets that wait for somebody to come, without those of programs that merely wait for an answer: UDP from
    /// a port that the kernel has given, unless a service is known by it (WireGuard's 51820).
    static func all(_ table: SocketTable, _ facts: FactSource) -> [Host.Listener] {
        listeners(facts, table: table).filter { !$0.isEphemeral || known.contains($0.port) }
    }

    /// Those of them that others than this machine reach.
    static func reachable(_ table: SocketTable, _ facts: FactSource) -> [Host.Listener] {
        all(table, facts).filter { !$0.isLocalOnly }
    }

    private static let known: Set<UInt16> = {
        let ports = (try? TemplateCatalog.builtIn())?.all.flatMap(\.ports) ?? []
        // Of a range that is handed out, as mosh does, any other program may have its port.
        return Set(ports.filter { $0.transport == .udp && $0.range.lower == $0.range.upper }.map(\.range.lower))
    }()
}
