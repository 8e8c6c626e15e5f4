import Netfilter
import Testing

@testable import Host

@Suite("SSH connections as the kernel reports them")
struct SSHMonitorTests {
    /// A server with a listener (pid 10), a login of ops from 203.0.113.7 (monitor 20, the user's sshd 21, shell 22).
    private func server(
        monitor: String = "sshd", monitorUser: UInt32 = 0, state: String = "01", program: String? = nil
    ) throws -> FakeMachine {
        let machine = try FakeMachine()
        try machine.addProcess(1, parent: 0, "systemd")
        try machine.addProcess(
            10, parent: 1, "sshd", arguments: ["sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"],
            sockets: [3: 30])
        try machine.addProcess(
            20, parent: 10, monitor, user: monitorUser, started: 5000, arguments: ["\(monitor): ops [priv]"],
            sockets: [4: 40], program: program)
        try machine.addProcess(
            21, parent: 20, monitor, user: 1000, started: 5010, arguments: ["\(monitor): ops@pts/0"], sockets: [4: 40])
        try machine.addProcess(22, parent: 21, "bash", user: 1000, started: 5011, terminal: 34816)
        try machine.addProcess(23, parent: 22, "sudo", terminal: 34816)
        try machine.addProcess(24, parent: 23, "latchkey", terminal: 34817)
        try machine.setTCP(
            [row(Ends.listener, Ends.any, "0A", inode: 30), row(Ends.server, Ends.client, state, inode: 40)],
            ofProcesses: [10, 20, 21])
        return machine
    }

    private func connections(_ machine: FakeMachine, own: Set<IPAddress> = []) -> SSHConnections {
        SSHConnections(machine.processes, ownAddresses: own)
    }

    @Test("the monitor is root's sshd, not the user's sshd below it", arguments: ["sshd", "sshd-session"])
    func monitor(name: String) throws {
        let found = try #require(connections(try server(monitor: name)).sshMonitor(of: 24))
        #expect(found.pid == 20)
        #expect(found.name == name)
        #expect(found.started == BootInstant(nanoseconds: 50_000_000_000))
        #expect(found.local.description == "198.51.100.20:22")
        #expect(found.remote.description == "203.0.113.7:50000")
        #expect(found.authenticated)
        #expect(!found.isFromThisMachine)
    }

    @Test("an sshd that is not root's proves nothing")
    func notRoot() throws {
        #expect(connections(try server(monitorUser: 1000)).sshMonitor(of: 24) == nil)
    }

    @Test(
        "a connection that is not established proves nothing", arguments: ["08", "06", "0A", "03"])
    func notEstablished(state: String) throws {
        let machine = try server(state: state)
        #expect(connections(machine).sshMonitor(of: 24) == nil)
        #expect(connections(machine).origin(of: 24).isUnproven)
    }

    @Test("a program that is only named sshd is not one")
    func masquerade() throws {
        #expect(connections(try server(program: "/usr/bin/sudo")).sshMonitor(of: 24) == nil)
        #expect(connections(try server(program: "/usr/sbin/sshd (deleted)")).sshMonitor(of: 24)?.pid == 20)
    }

    @Test("the connection of a session that forwards others is the one with the lowest descriptor")
    func forwarding() throws {
        let machine = try server()
        try machine.link("/proc/20/fd/9", to: "socket:[50]")
        try machine.link("/proc/20/fd/10", to: "socket:[51]")
        try machine.setTCP(
            [
                row("146433C6:A000", "086433C6:0050", "01", inode: 50), row(Ends.listener, Ends.any, "0A", inode: 30),
                row("0100007F:1F90", Ends.any, "0A", inode: 51), row(Ends.server, Ends.client, "01", inode: 40),
            ], ofProcesses: [20])
        #expect(connections(machine).sshMonitor(of: 24)?.remote.description == "203.0.113.7:50000")
    }

    @Test("a listener that has just accepted a connection is not a monitor")
    func listener() throws {
        let machine = try server()
        try machine.link("/proc/10/fd/5", to: "socket:[40]")
        try machine.addProcess(11, parent: 10, "helper")
        #expect(connections(machine).sshMonitor(of: 11) == nil)
        #expect(connections(machine).sshLogins(startedAfter: BootInstant(nanoseconds: 0)).map(\.pid) == [20])
    }

    @Test("a connection from one of the machine's own addresses is reported")
    func ownAddress() throws {
        let address = try #require(IPAddress(hostText: "203.0.113.7"))
        #expect(connections(try server(), own: [address]).sshMonitor(of: 24)?.isFromThisMachine == true)
    }

    @Test("only logins accepted after the instant count, not those accepted at it")
    func startedAfter() throws {
        let machine = try server()
        let start = BootInstant(nanoseconds: 50_000_000_000)
        #expect(
            connections(machine).sshLogins(startedAfter: BootInstant(nanoseconds: start.nanoseconds - 1)).count == 1)
        #expect(connections(machine).sshLogins(startedAfter: start).isEmpty)
    }

    @Test("a connection whose unprivileged process still runs as root counts once")
    func halves() throws {
        let machine = try server()
        try machine.addProcess(
            21, parent: 20, "sshd", started: 5010, arguments: ["sshd: [net]"], sockets: [5: 40])
        let logins = connections(machine).sshLogins(startedAfter: BootInstant(nanoseconds: 0))
        #expect(logins.map(\.pid) == [20])
        #expect(logins.map(\.authenticated) == [false])
    }

    @Test(
        "process titles distinguish a session from an unfinished login",
        arguments: [
            ("sshd: ops@pts/0", true), ("sshd-session: root@notty", true), ("sshd: ops@pts/0,pts/1", true),
            ("sshd: ops@example.org@pts/3", true), ("sshd: [accepted]", false), ("sshd: ops [priv]", false),
            ("sshd: ops [net]", false), ("sshd: ops@example.org [priv]", false), ("sshd: ops@example.org", false),
            ("sshd: unknown [net]", false), ("sshd-auth: ops@example.org [net]", false), ("sshd: ", false),
            ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", false), ("/usr/sbin/sshd -D", false),
            ("bash: ops@pts/0", false), ("", false),
        ])
    func titles(title: String, isSession: Bool) {
        #expect(SSHConnections.isSession(title: title) == isSession)
    }
}

extension SessionOrigin {
    var isUnproven: Bool { if case .remoteUnproven = self { true } else { false } }
    var isLocal: Bool { if case .local = self { true } else { false } }
    var words: String {
        switch self {
        case .ssh(let monitor): "ssh \(monitor.remote)"
        case .remoteUnproven(let reason): reason
        case .local(let place): place
        }
    }
}

@Suite("The origin of a session without an SSH connection")
struct OriginTests {
    private func origin(_ arrange: (FakeMachine) throws -> Void) throws -> SessionOrigin {
        let machine = try FakeMachine()
        try machine.addProcess(1, parent: 0, "systemd")
        try machine.setTCP([])
        try arrange(machine)
        return SSHConnections(machine.processes, ownAddresses: []).origin(of: 50)
    }

    @Test(
        "a program that serves terminals to remote users hides their connections",
        arguments: [
            "tmux: server", "tmux", "SCREEN", "screen", "mosh-server", "dtach", "abduco", "zellij", "dropbear",
            "tailscaled", "in.telnetd", "cockpit-bridge",
        ])
    func keepers(name: String) throws {
        let found = try origin {
            try $0.addProcess(40, parent: 1, name)
            try $0.addProcess(41, parent: 40, "bash", terminal: 1025)
            try $0.addProcess(50, parent: 41, "latchkey", terminal: 1025)
        }
        #expect(found.isUnproven, "\(found)")
    }

    @Test(
        "an SSH variable in any ancestor shows a connection", arguments: ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"])
    func variables(name: String) throws {
        for holder in [41, 50] as [Int32] {
            let found = try origin {
                try $0.addProcess(41, parent: 1, "bash", environment: holder == 41 ? ["\(name)=x"] : [])
                try $0.addProcess(50, parent: 41, "latchkey", environment: holder == 50 ? ["\(name)=x"] : [])
            }
            #expect(found.isUnproven)
            #expect(found.words.contains(name))
        }
    }

    @Test("a remote login reported by logind is accepted as such")
    func remoteSession() throws {
        let found = try origin {
            try $0.addProcess(50, parent: 1, "latchkey", group: "/user.slice/user-0.slice/session-4.scope")
            try $0.write("UID=0\nREMOTE=1\n", to: "/run/systemd/sessions/4")
        }
        #expect(found.words.contains("session 4"))
        #expect(found.isUnproven)
    }

    @Test("a login at the machine itself is local", arguments: [1025, 1088, 1281, 58624] as [Int32])
    func console(terminal: Int32) throws {
        let found = try origin {
            try $0.addProcess(41, parent: 1, "login", terminal: terminal)
            // sudo gives its command a separate terminal.
            try $0.addProcess(
                50, parent: 41, "latchkey", terminal: 34816, group: "/user.slice/user-0.slice/session-1.scope")
            try $0.write("REMOTE=0\nTTY=tty1\n", to: "/run/systemd/sessions/1")
        }
        #expect(found.isLocal)
    }

    @Test("a session name cannot point outside logind's folder")
    func hostileSession() throws {
        let found = try origin {
            try $0.addProcess(50, parent: 1, "latchkey", group: "/session-..%2f.scope/session-.scope")
            try $0.write("REMOTE=1\n", to: "/run/systemd/x")
        }
        #expect(found == .local("no terminal"))
    }

    @Test("a script at boot belongs to no user")
    func nobody() throws {
        #expect(try origin { try $0.addProcess(50, parent: 1, "latchkey") } == .local("no terminal"))
    }

    @Test("a terminal of unknown origin is local only while nobody is logged in over SSH")
    func unknownTerminal() throws {
        func found(title: String) throws -> SessionOrigin {
            try origin {
                try $0.addProcess(50, parent: 1, "latchkey", terminal: 34819)
                try $0.addProcess(30, parent: 1, "sshd", arguments: [title], sockets: [4: 40])
                try $0.setTCP([row(Ends.server, Ends.client, "01", inode: 40)], ofProcesses: [30])
            }
        }
        #expect(try found(title: "sshd: [accepted]") == .local("terminal pts/3"))
        #expect(try found(title: "sshd: root@pts/0").isUnproven)
    }

    @Test("a process that cannot be read is not considered local")
    func unseen() throws {
        #expect(try origin { _ in }.isUnproven)
    }
}
