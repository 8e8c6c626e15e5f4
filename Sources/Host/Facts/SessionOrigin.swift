/// How the person behind a process is connected to this machine.
package enum SessionOrigin: Sendable, Equatable {
    /// By SSH, over this connection.
    case ssh(SSHMonitor)
    /// Probably remote, over a connection that cannot be seen; with the reason.
    case remoteUnproven(reason: String)
    /// At the machine itself, or no person at all (a timer, a boot script); with the place.
    case local(String)
}

extension SSHConnections {
    /// Where the person behind a process is.
    ///
    /// Only the kernel's data can show an SSH connection; variables and session files can only turn "local" into
    /// "cannot be seen".
    package func origin(of pid: Int32) -> SessionOrigin {
        if let monitor = sshMonitor(of: pid) { return .ssh(monitor) }
        return whyNone(for: pid)
    }

    /// Why a process has no SSH connection among its ancestors: there is none, or it cannot be seen.
    package func whyNone(for pid: Int32) -> SessionOrigin {
        let line = ([processes.process(pid)] + processes.ancestors(of: pid)).compactMap(\.self)
        guard !line.isEmpty else { return .remoteUnproven(reason: "the process that sent the request cannot be seen") }
        for process in line {
            if let reason = Self.reason(program: process.name) { return .remoteUnproven(reason: reason) }
        }
        for process in line {
            let environment = processes.environment(of: process.pid) ?? [:]
            if let name = Self.variables.first(where: { environment[$0] != nil }) {
                return .remoteUnproven(
                    reason: "\(name) was started over SSH, but its connection cannot be seen (process \(process.pid))"
                )
            }
        }
        let sessions = loginSessions(of: pid)
        if let session = sessions.first(where: { $0.isRemote }) {
            return .remoteUnproven(
                reason: "login session \(session.id) is remote, but its connection cannot be seen")
        }
        if let terminal = line.map(\.terminal).first(where: { $0.exists && !$0.isPseudo }) {
            return .local("the console \(terminal.name)")
        }
        if let session = sessions.first { return .local("login session \(session.id)") }
        guard let terminal = line.map(\.terminal).first(where: \.exists) else { return .local("no terminal") }
        // A terminal that a service created (systemd-run, machinectl) may be used over the network.
        let here = processes.networkNamespace(of: pid)
        let others = sshLogins(startedAfter: BootInstant(nanoseconds: -1)).filter {
            $0.authenticated && processes.networkNamespace(of: $0.pid) == here
        }
        if let other = others.first {
            return .remoteUnproven(
                reason:
                    "terminal \(terminal.name) belongs to no login, and \(other.remote.address) is logged in over SSH"
            )
        }
        return .local("terminal \(terminal.name)")
    }

    // MARK: Signs

    private static let variables = ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"]

    /// Programs that keep a terminal open without a connection, and remote logins other than sshd, by name prefix.
    static let keepers = ["tmux", "screen", "SCREEN", "dtach", "abduco", "zellij", "byobu", "shpool"]
    private static let doors = [
        "mosh-server": "mosh", "etserver": "Eternal Terminal", "etterminal": "Eternal Terminal",
        "dropbear": "Dropbear", "tinysshd": "TinySSH", "tailscaled": "Tailscale SSH", "teleport": "Teleport",
        "in.telnetd": "telnet", "telnetd": "telnet", "ttyd": "a web terminal", "shellinaboxd": "a web terminal",
        "gotty": "a web terminal", "cockpit-": "Cockpit", "xrdp": "remote desktop", "Xvnc": "remote desktop",
        "Xtigervnc": "remote desktop", "ssm-session": "Session Manager", "ssm-agent": "Session Manager",
    ]

    private static func reason(program: String) -> String? {
        if let keeper = keepers.first(where: program.hasPrefix) {
            return "it runs inside \(keeper), which survives the connections that use it"
        }
        if let door = doors.first(where: { program.hasPrefix($0.key) }) {
            return "it was started over \(door.value), not over SSH"
        }
        return program.hasPrefix("sshd")
            ? "it was started over SSH, but its connection is closed or cannot be seen" : nil
    }

    private struct LoginSession {
        let id: String
        let isRemote: Bool
    }

    /// The logind sessions that a process's control groups name (`session-4.scope`) and whose file still exists.
    private func loginSessions(of pid: Int32) -> [LoginSession] {
        let units = processes.controlGroups(of: pid).flatMap { $0.split(separator: "/") }
        var met: Set<Substring> = []
        return units.compactMap { unit in
            guard unit.hasPrefix("session-"), unit.hasSuffix(".scope"), met.insert(unit).inserted else { return nil }
            let id = unit.dropFirst("session-".count).dropLast(".scope".count)
            // The identifier becomes part of a path: logind's contain only letters and digits.
            guard !id.isEmpty, id.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }),
                let lines = processes.source.lines("/run/systemd/sessions/\(id)")
            else { return nil }
            return LoginSession(id: String(id), isRemote: lines.contains("REMOTE=1"))
        }
    }
}
