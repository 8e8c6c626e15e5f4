import Netfilter

/// Where a person probably connects from, if their process has no SSH connection among its ancestors.
///
/// It is used only for proposals and warnings; it never confirms a change.
package struct OriginHint: Sendable, Equatable {
    /// Where the hint comes from.
    package enum Evidence: Sendable, Equatable {
        /// The only login whose window this program (tmux, screen) shows now; an existing connection.
        case window(program: String)
        /// A variable that sshd once set; the connection may be gone, and under mosh its other end may have moved.
        case variable
    }

    /// The other end.
    package let address: IPAddress
    /// This machine's port of that connection.
    package let port: UInt16
    package let evidence: Evidence

    package init(address: IPAddress, port: UInt16, evidence: Evidence) {
        self.address = address
        self.port = port
        self.evidence = evidence
    }
}

extension SSHConnections {
    /// Where the person behind a process probably connects from.
    ///
    /// Inside tmux or screen the process descends from a server that belongs to no login, but the clients that are
    /// attached to it do belong to one. If they come from several addresses, it is unknown who types.
    package func hint(of pid: Int32) -> OriginHint? {
        let line = ([processes.process(pid)] + processes.ancestors(of: pid)).compactMap(\.self)
        if let window = window(line) { return window }
        for process in line {
            let words = (processes.environment(of: process.pid)?["SSH_CONNECTION"] ?? "").split(separator: " ")
            // client address, its port, this machine's address, its port (ssh(1)).
            guard words.count == 4, let address = IPAddress(hostText: String(words[0])), let port = UInt16(words[3])
            else {
                continue
            }
            return OriginHint(address: address, port: port, evidence: .variable)
        }
        return nil
    }

    private func window(_ line: [ProcessFacts]) -> OriginHint? {
        for server in line {
            guard let keeper = Self.keepers.first(where: server.name.hasPrefix) else { continue }
            let clients = processes.all().filter {
                $0.pid != server.pid && $0.realUser == server.realUser
                    && $0.name.lowercased().hasPrefix(keeper.lowercased())
            }
            let monitors = clients.compactMap { sshMonitor(of: $0.pid) }.filter { !$0.isFromThisMachine }
            guard let first = monitors.first, monitors.allSatisfy({ $0.remote.address == first.remote.address })
            else { return nil }
            return OriginHint(
                address: first.remote.address, port: first.local.port, evidence: .window(program: keeper.lowercased()))
        }
        return nil
    }
}
