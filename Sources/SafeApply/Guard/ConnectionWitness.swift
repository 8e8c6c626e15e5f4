import Host
import Netfilter

/// Whether whoever confirms has proved that a new connection gets in.
package enum LoginProof: Sendable, Equatable {
    /// By an SSH connection that was accepted under the new rules, from this address.
    case fresh(address: String)
    /// At the machine itself, where no connection could prove anything.
    case local
    /// Not at all; says why.
    case none(reason: String)
}

/// What the kernel knows of SSH connections; injected, so that the guard's decisions can be tested without sshd.
package struct ConnectionWitness: Sendable {
    /// What a process proves, if the new rules have been in force since an instant.
    package var proof: @Sendable (_ pid: Int32, _ since: BootInstant) -> LoginProof
    /// The address of a login that came over a connection accepted since an instant.
    package var freshLogin: @Sendable (_ since: BootInstant) -> String?
    /// Whether no connection that began earlier still waits to be accepted on one of these ports.
    package var noneWaiting: @Sendable (_ ports: [UInt16]) -> Bool
    /// Whether another machine is connected to this one.
    package var hasConnections: @Sendable () -> Bool = { false }
    /// Changes whenever a process has begun; "" where that cannot be told.
    package var processMark: @Sendable () -> String = { "" }
    /// Whether the kernel tracks connections here already; it begins to with the first rule that asks.
    package var tracksConnections: @Sendable () -> Bool

    /// A witness made of four readings.
    package init(
        proof: @escaping @Sendable (Int32, BootInstant) -> LoginProof,
        freshLogin: @escaping @Sendable (BootInstant) -> String?,
        noneWaiting: @escaping @Sendable ([UInt16]) -> Bool,
        tracksConnections: @escaping @Sendable () -> Bool
    ) {
        self.proof = proof
        self.freshLogin = freshLogin
        self.noneWaiting = noneWaiting
        self.tracksConnections = tracksConnections
    }

    /// The machine's own processes and sockets.
    ///
    /// A process's start is counted in ticks of 10 ms, rounded down; so a connection accepted within the tick in
    /// which the rules came into force is taken for an old one.
    package static func system(_ facts: FactSource = FactSource()) -> ConnectionWitness {
        var witness = readings(facts)
        witness.hasConnections = {
            let table = SocketTable(facts, transports: [.tcp])
            return table.establishedByInode.values.contains { !table.isOwn($0) }
        }
        witness.processMark = {
            // proc_loadavg(5): the last field is the number of the process that began last.
            let words = (try? SecureFiles.read(facts.procPath("loadavg"))).map {
                $0.split(separator: UInt8(ascii: " "))
            }
            return (words?.last).map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        return witness
    }

    private static func readings(_ facts: FactSource) -> ConnectionWitness {
        ConnectionWitness(
            proof: { pid, since in
                let connections = SSHConnections(ProcessTable(facts))
                let here = connections.processes.networkNamespace(of: OwnProcess.pid)
                switch connections.origin(of: pid) {
                case .local: return .local
                case .remoteUnproven(let reason):
                    return .none(reason: "No SSH connection can be seen behind this command: \(reason).")
                case .ssh(let monitor) where monitor.isFromThisMachine:
                    return .none(
                        reason:
                            "This SSH connection comes from this machine itself (\(monitor.remote.address)): it proves "
                            + "nothing about the way in from outside.")
                case .ssh(let monitor) where connections.processes.networkNamespace(of: monitor.pid) != here:
                    return .none(
                        reason:
                            "This SSH connection (from \(monitor.remote.address)) reached another network than the one "
                            + "that these rules guard, a container's for example: it proves nothing about them.")
                case .ssh(let monitor) where monitor.started > since:
                    return .fresh(address: "\(monitor.remote.address)")
                case .ssh(let monitor):
                    return .none(
                        reason:
                            "This SSH connection (from \(monitor.remote.address)) is older than the new rules: it would "
                            + "survive rules that lock everybody out. Log in anew and confirm there.")
                }
            },
            freshLogin: { since in
                // A login to a container's sshd shows nothing about these rules: it is the namespace's own that counts.
                let connections = SSHConnections(ProcessTable(facts))
                let here = connections.processes.networkNamespace(of: OwnProcess.pid)
                return connections.sshLogins(startedAfter: since)
                    .first {
                        $0.authenticated && !$0.isFromThisMachine
                            && connections.processes.networkNamespace(of: $0.pid) == here
                    }
                    .map { "\($0.remote.address)" }
            },
            noneWaiting: { ports in
                let table = SocketTable(facts, transports: [.tcp])
                return ports.allSatisfy { table.listenerBacklogEmpty(port: $0) ?? true }
            },
            tracksConnections: {
                // An SSH session is a connection: with none counted, the kernel does not look yet.
                let count = try? SecureFiles.read(facts.procPath("sys/net/netfilter/nf_conntrack_count"))
                return count.map { String(decoding: $0, as: UTF8.self) != "0\n" } ?? false
            })
    }
}
