import Foundation
import Glibc
import TestSupport
import Testing

/// A server in its own namespace with its own rules, and the processes of the change that is made on it.
final class FaultScene: Sendable {
    let server: NetworkNamespace
    let root: TemporaryFolder
    let backend: TestBackend
    private let before: [IPFamily: String]
    /// What nft printed before the change.
    let listingBefore: String

    /// What the server has before the change: a policy that drops, odd quoting, user chains, several tables.
    private static let earlier = """
        *mangle
        :PREROUTING ACCEPT [0:0]
        -A PREROUTING -p tcp -m tcp --dport 9 -j MARK --set-xmark 0x7/0xffffffff
        COMMIT
        *nat
        :PREROUTING ACCEPT [0:0]
        -A PREROUTING -p tcp -m tcp --dport 81 -j REDIRECT --to-ports 80
        COMMIT
        *filter
        :INPUT DROP [0:0]
        :FORWARD DROP [0:0]
        :OUTPUT ACCEPT [0:0]
        :others - [0:0]
        -A INPUT -p tcp -m tcp --dport 2200 -m comment --comment "an \\"odd\\" one \\\\" -j ACCEPT
        -A INPUT -j others
        -A FORWARD -i eth9 -j ACCEPT
        -A others -p udp -m udp --dport 4000 -j ACCEPT
        COMMIT

        """

    /// The change; its only requirement is that it differs from the rules above.
    private static let answers = """
        version: 1
        admins: [192.168.1.33]
        services: [web]
        ssh: { ports: [22], from: everyone }
        existing: MODE

        """

    /// Creates a scene and passes it to `body`.
    static func with(
        _ backend: TestBackend, existing: String = "replace", in server: NetworkNamespace? = nil,
        _ body: (FaultScene) async throws -> Void
    ) async throws {
        try await body(try await FaultScene(backend, existing: existing, in: server))
    }

    private init(_ backend: TestBackend, existing: String, in server: NetworkNamespace?) async throws {
        self.backend = backend
        if let server { self.server = server } else { self.server = try await NetworkNamespace() }
        root = try TemporaryFolder()
        try root.write(Self.answers.replacingOccurrences(of: "MODE", with: existing), to: "answers.yaml")
        var dumps: [IPFamily: String] = [:]
        for family in IPFamily.allCases {
            try await self.server.restore(Self.earlier, family, backend)
            dumps[family] = try await self.server.dump(family, backend)
        }
        before = dumps
        listingBefore = try await self.server.mustRun(["nft", "-s", "list", "ruleset"])
    }

    // MARK: The change

    func words(_ deadline: Int) -> [String] {
        [
            "apply", "--answers", "\(root.path)/answers.yaml", "--backend", backend.rawValue, "--no-rehearsal",
            "--deadline", "\(deadline)",
        ]
    }

    /// Applies the change.
    func apply(deadline: Int = 10) async throws {
        let done = try await latchkey(words(deadline) + ["--detach"])
        guard done.status == 0 else { throw SpawnError("apply ended with \(done.status): \(done.errors)") }
    }

    /// Starts the program that waits for the outcome, without waiting for it.
    func startWaiting(deadline: Int = 10) throws -> Child {
        let line = ([Latchkey.path] + words(deadline)).joined(separator: " ")
        return try server.start(
            ["sh", "-c", "exec \(line) 2> \(root.path)/said"], environment: Latchkey.environment(root: root))
    }

    func latchkey(_ arguments: [String]) async throws -> Finished {
        try await Latchkey.run(arguments, root: root, in: server, timeout: .seconds(120))
    }

    /// Waits until the journal contains one of these states.
    func wait(for states: Set<String>, seconds: Int) async throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            if let state = journalState, states.contains(state) { return }
            try await Task.sleep(for: .milliseconds(15))
        }
        let said = (try? root.read("said")) ?? ""
        throw SpawnError(
            "the journal says \(journalState ?? "nothing") after \(seconds) s, not \(states.sorted()); it said: \(said)"
        )
    }

    var journalState: String? {
        guard let text = try? root.read("run/latchkey/journal.json"),
            let journal = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        else { return nil }
        return journal["state"] as? String
    }

    // MARK: Processes

    /// The processes of this scene's latchkey, by their role.
    func processes(_ roles: [String] = ["guard", "supervise", "apply"]) -> [pid_t] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.filter { pid in
            guard let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline"),
                let variables = FileManager.default.contents(atPath: "/proc/\(pid)/environ")
            else { return false }
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            guard words.count > 1, words[0].hasSuffix("latchkey"), roles.contains(words[1]) else { return false }
            return variables.split(separator: 0).contains { $0.elementsEqual("LATCHKEY_ROOT=\(root.path)".utf8) }
        }
    }

    /// Kills the processes of the change until none is left: they may have restarted each other in the meantime.
    func killAll(_ roles: [String] = ["guard", "supervise", "apply"]) async throws {
        var quiet = 0
        while quiet < 5 {
            send(SIGKILL, to: roles)
            quiet = processes(roles).isEmpty ? quiet + 1 : 0
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// Waits until somebody holds the lock of iptables-legacy.
    func lockIsHeld() async throws {
        try await until("the lock is held") {
            try await server.run(["flock", "--nonblock", "/run/xtables.lock", "true"]).status != 0
        }
    }

    /// Stops the processes of the change until none runs: each may have resumed the other between two looks.
    func stopAll(_ roles: [String] = ["guard", "supervise"]) async throws {
        var quiet = 0
        while quiet < 5 {
            send(SIGSTOP, to: roles)
            quiet = processes(roles).allSatisfy(isStopped) ? quiet + 1 : 0
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// Whether a process is stopped (proc(5): the field after the name in parentheses), or has ended.
    private func isStopped(_ pid: pid_t) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return true }
        return text[(text.lastIndex(of: ")") ?? text.startIndex)...].hasPrefix(") T ")
    }

    func send(_ signal: Int32, to roles: [String]) { for pid in processes(roles) { kill(pid, signal) } }

    // MARK: Wrapped tools

    /// Wraps a tool in a script before a change begins: the script runs these lines first, with `$real` for the tool
    /// itself, once `misbehave` has been called.
    func putInFront(_ action: String, _ lines: String, of families: [IPFamily] = IPFamily.allCases) async throws {
        for family in families {
            let name = backend.tool(family, action)
            let script = """
                #!/bin/sh
                real=/usr/sbin/\(name)
                [ -e \(root.path)/misbehave ] || exec $real "$@"
                \(lines)
                exec $real "$@"

                """
            // Another program writes it: a child that is started meanwhile would inherit our descriptor, and a file
            // that is open for writing cannot be run.
            let source = try root.write(script, to: "scripts/\(name)")
            try await mustRun(["install", "-D", "-m", "755", source, "\(root.path)/usr/sbin/\(name)"])
        }
    }

    /// From now on the wrapper scripts run their lines.
    func misbehave() throws { try root.write("", to: "misbehave") }

    /// Replaces the snapshot's IPv4 rules with others.
    func damageSnapshot() async throws {
        let snapshots = "var/lib/latchkey/snapshots"
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(root.path)/\(snapshots)")
        guard let id = names.first else { throw SpawnError("there is no snapshot") }
        try root.write("*filter\n:INPUT DROP [0:0]\nCOMMIT\n", to: "\(snapshots)/\(id)/ipv4.rules")
    }

    // MARK: Expectations

    /// INPUT of IPv4 as it is now.
    func input() async throws -> String {
        try await server.mustRun([backend.tool(.ipv4), "-S", "INPUT"])
    }

    /// Expects the previous rules to be active, in all tables and both families, and nothing else to be left soon.
    func expectBack(_ comment: Comment? = nil, at location: SourceLocation = #_sourceLocation) async throws {
        try await expectUntouched(comment, at: location)
        #expect(server.areGateListsEmpty, comment, sourceLocation: location)
        try await until("the end of the pending rules", within: .seconds(45)) {
            for family in IPFamily.allCases where PendingRules.areIn(try await server.dump(family, backend)) {
                return false
            }
            return true
        }
        try await expectUntouched(comment, at: location)
    }

    /// Expects the previous rules to be loaded, possibly with other rules before them.
    func expectUntouched(_ comment: Comment? = nil, at location: SourceLocation = #_sourceLocation) async throws {
        for family in IPFamily.allCases {
            let live = PendingRules.removed(from: try await server.dump(family, backend))
            #expect(live == before[family], comment, sourceLocation: location)
        }
    }

    /// Ends the processes that a failed test has left, by process ID.
    deinit { send(SIGKILL, to: ["guard", "supervise", "apply"]) }
}
