import Netfilter

/// The sshd process that holds one SSH connection: root's, forked when the connection was accepted.
///
/// Its start time shows whether a connection is new. A new login over an old connection, sudo, a new shell or tmux do
/// not change it; logind's session, the terminal and conntrack are less reliable.
package struct SSHMonitor: Sendable, Equatable {
    package let pid: Int32
    /// `sshd`, or `sshd-session` since OpenSSH 9.8.
    package let name: String
    /// When the connection was accepted, on the boot-time clock, rounded down to a tick (10 ms).
    package let started: BootInstant
    /// This machine's end of the connection.
    package let local: Endpoint
    /// The other end, as the kernel sees it: the address of a NAT gateway if there is one.
    package let remote: Endpoint
    /// Whether somebody has logged in and has a session on it.
    package let authenticated: Bool
    /// Whether the client is on this machine, so that the connection does not test a login from outside.
    package let isFromThisMachine: Bool

    package init(
        pid: Int32, name: String, started: BootInstant, local: Endpoint, remote: Endpoint, authenticated: Bool,
        isFromThisMachine: Bool
    ) {
        self.pid = pid
        self.name = name
        self.started = started
        self.local = local
        self.remote = remote
        self.authenticated = authenticated
        self.isFromThisMachine = isFromThisMachine
    }
}

/// Finds SSH connections by the kernel's data about sshd's processes and sockets.
package struct SSHConnections: Sendable {
    package let processes: ProcessTable
    /// The machine's own addresses; a connection from one of them is not from outside.
    package let ownAddresses: Set<IPAddress>

    /// Creates a view of a machine's processes.
    ///
    /// - Parameters:
    ///   - processes: The process table.
    ///   - ownAddresses: The machine's own addresses; without it, those of this program's network namespace.
    package init(_ processes: ProcessTable = ProcessTable(), ownAddresses: Set<IPAddress>? = nil) {
        self.processes = processes
        self.ownAddresses = ownAddresses ?? Set(Host.ownAddresses().map(\.address))
    }

    /// The connection of a process: the nearest ancestor (or the process itself) that is a monitor.
    package func sshMonitor(of pid: Int32) -> SSHMonitor? {
        let line = ([processes.process(pid)] + processes.ancestors(of: pid)).compactMap(\.self)
        for process in line where isMonitorLike(process) {
            if let held = connection(of: process, in: nil) { return monitor(process, held, children: nil) }
        }
        return nil
    }

    /// All SSH connections that were accepted after an instant, oldest first; not those at the instant itself.
    package func sshLogins(startedAfter instant: BootInstant) -> [SSHMonitor] {
        let all = processes.all(named: [Self.name])
        let children = Dictionary(grouping: all, by: \.parent)
        var tables: [String: SocketTable] = [:]
        let held = all.filter { $0.started > instant && isMonitorLike($0) }.compactMap { process in
            // Reading a table is slow; processes of one network namespace share it.
            let namespace = processes.networkNamespace(of: process.pid) ?? "of \(process.pid)"
            let table = tables[namespace] ?? table(of: process)
            tables[namespace] = table
            return connection(of: process, in: table).map { (process, $0) }
        }
        // Just after the fork of the unprivileged process both hold the connection as root: the parent is the monitor.
        let holders = Dictionary(held.map { ($0.0.pid, $0.1.row.inode) }, uniquingKeysWith: { first, _ in first })
        return held.filter { holders[$0.0.parent] != $0.1.row.inode }
            .compactMap { monitor($0.0, $0.1, children: children) }
            .sorted { ($0.started, $0.pid) < ($1.started, $1.pid) }
    }

    // MARK: Recognizing a monitor

    private struct Held {
        let row: SocketRow
        let isOwn: Bool
    }

    private func table(of process: ProcessFacts) -> SocketTable {
        // The table of the process's own network namespace, which may differ from this program's.
        SocketTable(processes.source, ofNamespaceOf: process.pid, transports: [.tcp])
    }

    /// How the names of sshd's processes begin.
    private static let name = "sshd"

    /// Root's process named sshd, whose program file is also sshd if it is visible.
    ///
    /// The process name comes from the link with which a program was started, so sudo could have it, too.
    private func isMonitorLike(_ process: ProcessFacts) -> Bool {
        guard process.name.hasPrefix(Self.name), process.effectiveUser == 0, process.state != "Z" else { return false }
        guard let program = processes.executable(of: process.pid) else { return true }
        return program.split(separator: "/").last?.hasPrefix(Self.name) ?? false
    }

    /// The established connection that an sshd process serves.
    private func connection(of process: ProcessFacts, in table: SocketTable?) -> Held? {
        guard let sockets = processes.sockets(of: process.pid), !sockets.isEmpty else { return nil }
        let table = table ?? self.table(of: process)
        let established = table.establishedByInode
        // The login's connection came first; forwarded connections have higher descriptors.
        let rows = sockets.sorted { $0.key < $1.key }.compactMap { established[$0.value] }
        guard let row = rows.first else { return nil }
        // The listener holds a connection for a moment between accepting it and forking the monitor.
        let inodes = Set(sockets.values)
        let listens = table.rows.contains {
            $0.state == .listen && $0.local.port == row.local.port && inodes.contains($0.inode)
        }
        guard !listens else { return nil }
        return Held(row: row, isOwn: table.isOwn(row) || ownAddresses.contains(row.remote.address))
    }

    private func monitor(_ process: ProcessFacts, _ held: Held, children: [Int32: [ProcessFacts]]?) -> SSHMonitor? {
        let children = children?[process.pid] ?? processes.all(named: [Self.name]).filter { $0.parent == process.pid }
        let authenticated = ([process] + children)
            .contains { processes.title(of: $0.pid).map(Self.isSession(title:)) ?? false }
        // Process IDs are reused: the data belongs to one process only if it still exists.
        guard processes.process(process.pid)?.started == process.started else { return nil }
        return SSHMonitor(
            pid: process.pid, name: process.name, started: process.started, local: held.row.local,
            remote: held.row.remote, authenticated: authenticated, isFromThisMachine: held.isOwn)
    }

    /// Whether an sshd process's title is that of a session: `sshd: ops@pts/0`, `sshd-session: root@notty`.
    ///
    /// Before a session they are `[accepted]`, `ops [net]` and `ops [priv]`. A user name may itself contain an `@`, so
    /// only the text after the last one counts (session_proctitle in OpenSSH's session.c).
    static func isSession(title: String) -> Bool {
        guard title.hasPrefix("sshd: ") || title.hasPrefix("sshd-session: "), let at = title.lastIndex(of: "@")
        else { return false }
        let terminals = title[title.index(after: at)...]
        guard !terminals.isEmpty, !terminals.contains(" ") else { return false }
        return terminals.split(separator: ",").allSatisfy {
            $0 == "notty" || $0 == "internal-sftp" || $0.hasPrefix("pts/") || $0.hasPrefix("tty")
        }
    }

    /// Whether an sshd process's title is that of a connection and not of the listener.
    static func isConnection(title: String) -> Bool {
        (title.hasPrefix("sshd: ") || title.hasPrefix("sshd-")) && title.contains(": ")
            && !title.contains("[listener]")
    }
}
