import Host
import Netfilter

/// Whether a confirmation comes from a new SSH login.
package enum LoginProof: Sendable, Equatable {
    /// From an SSH connection that was accepted under the new rules, with this client address.
    case fresh(address: String)
    /// From the machine itself, where there is no SSH connection.
    case local
    /// Neither; with the reason.
    case none(reason: String)
}

/// What is known of new SSH logins.
package enum NewLogin: Sendable, Equatable {
    /// One succeeded, with this client address.
    case succeeded(address: String)
    /// A connection was accepted, and its client has not logged in yet.
    case underWay
    /// There is none.
    case none
}

/// Reads SSH connections from the kernel; injected, so that the guard's decisions can be tested without sshd.
package struct ConnectionWitness: Sendable {
    /// The kind of login behind a process, for rules that became active at an instant.
    package var proof: @Sendable (_ pid: Int32, _ since: BootInstant) -> LoginProof
    /// The logins whose connections were accepted after an instant.
    package var newLogin: @Sendable (_ since: BootInstant) -> NewLogin
    /// Whether no earlier connection still waits to be accepted on one of these ports.
    package var noneWaiting: @Sendable (_ ports: [UInt16]) -> Bool
    /// Whether another machine is connected to this one.
    package var hasConnections: @Sendable () -> Bool = { false }
    /// Changes whenever a process starts; "" if that is unknown.
    package var processMark: @Sendable () -> String = { "" }
    /// The paths of the programs that sshd executes for each connection; empty if they are unknown.
    package var loginPrograms: @Sendable () -> [String] = { [] }
    /// Whether the kernel already tracks connections here; it starts with the first rule that needs it.
    package var tracksConnections: @Sendable () -> Bool

    /// Creates a witness; see the properties.
    package init(
        proof: @escaping @Sendable (Int32, BootInstant) -> LoginProof,
        newLogin: @escaping @Sendable (BootInstant) -> NewLogin,
        noneWaiting: @escaping @Sendable ([UInt16]) -> Bool,
        tracksConnections: @escaping @Sendable () -> Bool
    ) {
        self.proof = proof
        self.newLogin = newLogin
        self.noneWaiting = noneWaiting
        self.tracksConnections = tracksConnections
    }

    /// Reads this machine's processes and sockets.
    ///
    /// The kernel counts a process's start in ticks of 10 ms, rounded down, so that a connection accepted within the
    /// tick in which the rules became active counts as an old one.
    package static func system(_ facts: FactSource = FactSource()) -> ConnectionWitness {
        var witness = readings(facts)
        witness.hasConnections = {
            let table = SocketTable(facts, transports: [.tcp], states: [.established])
            return table.establishedByInode.values.contains { !table.isOwn($0) }
        }
        witness.loginPrograms = { ProcessTable(facts).sshPrograms() }
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
                    return .none(reason: "latchkey cannot find the SSH connection of this command: \(reason).")
                case .ssh(let monitor) where monitor.isFromThisMachine:
                    return .none(
                        reason:
                            "This SSH connection comes from this machine itself (\(monitor.remote.address)), so it does "
                            + "not test a login from outside.")
                case .ssh(let monitor) where connections.processes.networkNamespace(of: monitor.pid) != here:
                    return .none(
                        reason:
                            "This SSH connection (from \(monitor.remote.address)) goes to another network namespace, "
                            + "such as a container's, so it does not test these rules.")
                case .ssh(let monitor) where monitor.started > since:
                    return .fresh(address: "\(monitor.remote.address)")
                case .ssh(let monitor):
                    return .none(
                        reason:
                            "This SSH connection (from \(monitor.remote.address)) is older than the new rules, so it would "
                            + "survive even rules that block all new logins. Open a new SSH login and confirm there.")
                }
            },
            newLogin: { since in
                // A login to a container's sshd does not test these rules: only logins in this network namespace count.
                let connections = SSHConnections(ProcessTable(facts))
                let here = connections.processes.networkNamespace(of: OwnProcess.pid)
                let logins = connections.sshLogins(startedAfter: since)
                    .filter { !$0.isFromThisMachine && connections.processes.networkNamespace(of: $0.pid) == here }
                if let login = logins.first(where: \.authenticated) {
                    return .succeeded(address: "\(login.remote.address)")
                }
                return logins.isEmpty ? .none : .underWay
            },
            noneWaiting: { ports in
                let states: Set<SocketState> = [.listen, .synReceived, .newSynReceived]
                let table = SocketTable(facts, transports: [.tcp], states: states)
                return ports.allSatisfy { table.listenerBacklogEmpty(port: $0) ?? true }
            },
            tracksConnections: {
                // An SSH session is a connection: if the kernel counts none, it does not track connections yet.
                let count = try? SecureFiles.read(facts.procPath("sys/net/netfilter/nf_conntrack_count"))
                return count.map { String(decoding: $0, as: UTF8.self) != "0\n" } ?? false
            })
    }
}
