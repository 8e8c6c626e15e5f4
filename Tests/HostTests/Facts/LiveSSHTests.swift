import Foundation
import Host
import Netfilter
import Testing

/// A real sshd in a network namespace, and another namespace from which to log in.
private final class LiveServer {
    struct Failure: Error, CustomStringConvertible { let description: String }

    static let server = "192.0.2.2"
    static let outside = "192.0.2.9"
    let folder: String
    /// Digits after a sleep's seconds that no other test or run uses to find its processes.
    let mark = "\(UInt32.random(in: 1_000_000...9_999_999))"
    private var running: [pid_t] = []
    private(set) var sshd: Int32 = 0
    private var outsideID: Int32 = 0

    /// Why this test cannot run here, or `nil`.
    static var shortage: String? {
        guard geteuid() == 0 else { return "a real sshd needs root" }
        let needed: [String] = ["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/ssh-keygen", "/usr/bin/unshare", "/bin/ip"]
        return needed.first { access($0, X_OK) != 0 }.map { "'\($0)' is missing" }
    }

    init() async throws {
        folder = NSTemporaryDirectory() + "latchkey-sshd-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        for key in ["host", "user"] {
            try await run(["/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(key)"])
        }
        try """
        Port 22
        HostKey \(folder)/host
        AuthorizedKeysFile \(folder)/user.pub
        StrictModes no
        UsePAM no
        PidFile none
        PermitRootLogin prohibit-password
        PasswordAuthentication no

        """.write(toFile: "\(folder)/config", atomically: true, encoding: .utf8)
        // A separate /run: sshd needs its folder there, and the machine's own is left alone.
        let start = """
            mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && ip link set lo up &&
            exec /usr/sbin/sshd -D -e -f "$0"
            """
        sshd = try launch(["/usr/bin/unshare", "--net", "--mount", "--", "/bin/sh", "-c", start, "\(folder)/config"])
        outsideID = try launch(["/usr/bin/unshare", "--net", "--", "/bin/sleep", "300"])
        let processes = ProcessTable()
        try await until("sshd to listen") { [sshd] in
            SocketTable(ofNamespaceOf: sshd, transports: [.tcp]).listenerBacklogEmpty(port: 22) == true
                && processes.networkNamespace(of: sshd) != processes.networkNamespace(of: getpid())
        }
        try await until("the other namespace") { [outsideID] in processes.process(outsideID)?.name == "sleep" }
        let ip = "/usr/bin/nsenter -t \(sshd) -n /bin/ip"
        let far = "/usr/bin/nsenter -t \(outsideID) -n /bin/ip"
        let lines = [
            "\(ip) link add eth0 type veth peer name eth0 netns \(outsideID)", "\(ip) link set eth0 up",
            "\(ip) address add \(Self.server)/24 dev eth0", "\(far) link set eth0 up",
            "\(far) address add \(Self.outside)/24 dev eth0",
        ]
        for line in lines { try await run(line.split(separator: " ").map(String.init)) }
    }

    /// Ends everything that was started here, by process ID.
    func close() {
        // Login processes outlive their sshd, but not their namespace.
        let processes = ProcessTable()
        let own = processes.networkNamespace(of: getpid())
        let made = [sshd, outsideID].compactMap(processes.networkNamespace(of:)).filter { $0 != own }
        for pid in processes.pids() where processes.networkNamespace(of: pid).map(made.contains) ?? false {
            kill(pid, SIGKILL)
        }
        for id in running { kill(id, SIGKILL) }
        for id in running {
            var status: Int32 = 0
            waitpid(id, &status, 0)
        }
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Logs in as root and runs a command, from the outside or from the server itself.
    @discardableResult
    func logIn(to address: String, fromOutside: Bool, _ options: [String] = [], command: String) throws -> Int32 {
        let settings = [
            "-F", "none", "-i", "\(folder)/user", "-o", "StrictHostKeyChecking=no", "-o",
            "UserKnownHostsFile=/dev/null",
            "-o", "LogLevel=ERROR", "-o", "BatchMode=yes",
        ]
        return try launch(
            ["/usr/bin/nsenter", "-t", "\(fromOutside ? outsideID : sshd)", "-n", "/usr/bin/ssh"] + settings + options
                + ["root@\(address)", command])
    }

    /// Connects to the server without logging in.
    func knock() throws {
        let line = "exec 3<>/dev/tcp/\(Self.server)/22; exec sleep 100"
        try launch(["/usr/bin/nsenter", "-t", "\(outsideID)", "-n", "/bin/bash", "-c", line])
    }

    func until(_ what: String, _ condition: () throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(15)
        while try !condition() {
            guard ContinuousClock.now < end else { throw Failure(description: "timed out waiting for: \(what)") }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Waits for a process that sleeps for a number of seconds that no other process uses.
    func sleeper(_ seconds: String) async throws -> Int32 {
        var found: Int32?
        let processes = ProcessTable()
        try await until("sleep \(seconds)") {
            found = processes.all().first { processes.arguments(of: $0.pid) == ["sleep", seconds] }?.pid
            return found != nil
        }
        return try #require(found)
    }

    @discardableResult
    private func launch(_ words: [String]) throws -> Int32 {
        // Not Foundation's Process: its one thread waits for one child at a time, and these do not end by themselves.
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor in 0...2 as ClosedRange<Int32> {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
        }
        let arguments = words.map { strdup($0) } + [nil]
        let variables = [strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nil]
        defer { (arguments + variables).forEach { free($0) } }
        var id: pid_t = 0
        let failure = posix_spawn(&id, words[0], &actions, nil, arguments, variables)
        guard failure == 0 else { throw Failure(description: "\(words): error \(failure)") }
        running.append(id)
        return id
    }

    private func run(_ words: [String]) async throws {
        let result = try await SystemRunner().run(Command(words[0], Array(words.dropFirst())))
        guard result.status == 0 else { throw Failure(description: "\(words): \(result.message)") }
    }
}

@Suite(
    "A real sshd",
    .enabled(Comment(rawValue: LiveServer.shortage ?? "root and sshd are available")) {
        guard let shortage = LiveServer.shortage else { return true }
        guard getenv("LATCHKEY_REQUIRE_KERNEL").map({ String(cString: $0) }) != "1" else {
            throw LiveServer.Failure(description: "LATCHKEY_REQUIRE_KERNEL=1, but \(shortage)")
        }
        return false
    })
struct LiveSSHTests {
    @Test("a login from outside is found with its start, its endpoints and its session, also with a bare environment")
    func outside() async throws {
        let live = try await LiveServer()
        defer { live.close() }
        let before = BootClock.system.now()
        try live.logIn(
            to: LiveServer.server, fromOutside: true,
            command: "sleep 7100.01\(live.mark) & env -i sleep 7100.02\(live.mark)")
        let shell = try await live.sleeper("7100.02\(live.mark)")
        let after = BootClock.system.now()

        let connections = SSHConnections()
        let monitor = try #require(connections.sshMonitor(of: shell))
        #expect(connections.origin(of: shell) == .ssh(monitor))
        #expect(monitor.started > before.advanced(milliseconds: -10))
        #expect(monitor.started < after)
        #expect(monitor.authenticated)
        #expect(!monitor.isFromThisMachine)
        // What sshd passed to its child gives the same result by another route.
        let told = ProcessTable().environment(of: try await live.sleeper("7100.01\(live.mark)"))?["SSH_CONNECTION"]
        #expect(
            told == "\(monitor.remote.address) \(monitor.remote.port) \(monitor.local.address) \(monitor.local.port)")
        #expect(monitor.remote.address.description == LiveServer.outside)

        let mine = { (logins: [SSHMonitor]) in logins.filter { $0.pid == monitor.pid } }
        #expect(mine(connections.sshLogins(startedAfter: before.advanced(milliseconds: -10))) == [monitor])
        #expect(mine(connections.sshLogins(startedAfter: after)).isEmpty)
    }

    @Test("a new login that shares an old connection has the old one's start")
    func riding() async throws {
        let live = try await LiveServer()
        defer { live.close() }
        let control = ["-o", "ControlPath=\(live.folder)/control"]
        try live.logIn(
            to: LiveServer.server, fromOutside: true, control + ["-o", "ControlMaster=yes"],
            command: "sleep 7101.01\(live.mark)")
        let first = try #require(SSHConnections().sshMonitor(of: try await live.sleeper("7101.01\(live.mark)")))
        let between = BootClock.system.now()
        try live.logIn(to: LiveServer.server, fromOutside: true, control, command: "sleep 7101.02\(live.mark)")
        let second = try #require(SSHConnections().sshMonitor(of: try await live.sleeper("7101.02\(live.mark)")))
        #expect(second.pid == first.pid)
        #expect(second.started == first.started)
        #expect(second.started < between)
        try live.logIn(to: LiveServer.server, fromOutside: true, command: "sleep 7101.03\(live.mark)")
        let third = try #require(SSHConnections().sshMonitor(of: try await live.sleeper("7101.03\(live.mark)")))
        #expect(third.started > between.advanced(milliseconds: -10))
    }

    @Test("a login from the server itself is reported", arguments: ["127.0.0.1", "::1", LiveServer.server])
    func fromHere(address: String) async throws {
        let live = try await LiveServer()
        defer { live.close() }
        let seconds = "7102.\(address.utf8.count)\(live.mark)"
        try live.logIn(to: address, fromOutside: false, command: "sleep \(seconds)")
        let sleeper = try await live.sleeper(seconds)
        // Only the socket table can show it: the namespace's addresses are not this program's.
        let monitor = try #require(SSHConnections(ownAddresses: []).sshMonitor(of: sleeper))
        #expect(monitor.isFromThisMachine)
        #expect(monitor.local.address.description == address)
    }

    @Test("a connection without a login is no session, and the listener's backlog is empty again")
    func knocking() async throws {
        let live = try await LiveServer()
        defer { live.close() }
        let before = BootClock.system.now().advanced(milliseconds: -10)
        try live.knock()
        let connections = SSHConnections()
        var found: [SSHMonitor] = []
        try await live.until("a connection") {
            found = connections.sshLogins(startedAfter: before).filter {
                ProcessTable().process($0.pid)?.parent == live.sshd
            }
            return !found.isEmpty
        }
        #expect(found.map(\.authenticated) == [false])
        #expect(found.first?.remote.address.description == LiveServer.outside)
        #expect(SocketTable(ofNamespaceOf: live.sshd).listenerBacklogEmpty(port: 22) == true)
    }

    @Test("a process that outlives its login has no connection to show, and is not considered local")
    func outliving() async throws {
        let live = try await LiveServer()
        defer { live.close() }
        let client = try live.logIn(
            to: LiveServer.server, fromOutside: true,
            command: "setsid sleep 7103.01\(live.mark) </dev/null >/dev/null 2>&1 &")
        let left = try await live.sleeper("7103.01\(live.mark)")
        defer { kill(left, SIGKILL) }
        let processes = ProcessTable()
        try await live.until("the end of the login") { processes.process(client)?.state ?? "Z" == "Z" }
        try await live.until("a new parent") { !processes.ancestors(of: left).contains { $0.name.hasPrefix("sshd") } }
        #expect(SSHConnections().sshMonitor(of: left) == nil)
        #expect(SSHConnections().origin(of: left).isUnproven)
    }
}
