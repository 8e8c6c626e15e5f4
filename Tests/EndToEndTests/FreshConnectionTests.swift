import Foundation
import TestSupport
import Testing

@Suite("Over SSH", .kernel, .sshd, .inTurn)
struct FreshConnectionTests {
    @Test("a login older than the change cannot confirm it in any way; a new one can", arguments: Case.all)
    func fresh(_ test: Case) async throws {
        try await SSHServer.with(test.backend) { server in
            let old = try await server.session("old", server.sharing(true))
            let apply = server.machine.applyWords(test.existing, ["--detach", "--deadline", "5m"]).joined(
                separator: " ")
            let applied = try await old.run(1, server.line(apply))
            #expect(applied.status == 0, "\(applied.errors)")

            // In the old login itself, with a bare environment, in a separate session, and sharing its connection.
            for (number, variables) in ["", "-i", "-i setsid -w env"].enumerated() {
                let asked = try await old.run(number + 2, server.line("confirm --json", with: variables))
                #expect(asked.status == 7, "\(variables): \(asked.errors)")
                #expect(try JSON(asked).text("outcome") == "refused")
            }
            let riding = try await server.logIn(server.line("confirm"), server.sharing(false))
            #expect(riding.status == 7, "\(riding.errors)")
            #expect(try await server.machine.status().truth("freshConnectionSeen") == false)

            // A login from the server itself does not count as a test.
            for address in ["127.0.0.1", SSHServer.address] {
                let local = try await server.logInLocally(server.line("confirm"), to: address)
                #expect(local.status == 7, "\(address): \(local.errors)")
            }
            #expect(try await server.machine.status().truth("freshConnectionSeen") == false)
            #expect(try await server.machine.status().text("state") == "pending")

            let new = try await server.logIn(server.line("confirm --json"))
            #expect(new.status == 0, "\(new.errors)")
            #expect(try JSON(new).text("outcome") == "kept")
            #expect(try JSON(new).text("reason")?.contains(SSHServer.admin) == true)
        }
    }

    @Test("status reports a new login, and the old one may insist on confirming", arguments: TestBackend.installed)
    func insisting(_ backend: TestBackend) async throws {
        try await SSHServer.with(backend) { server in
            let old = try await server.session("old")
            try await server.machine.begin(.keep)
            #expect(try await server.machine.status().truth("freshConnectionSeen") == false)
            let new = try await server.session("new", from: SSHServer.stranger)
            try await until("the login to be seen") {
                try await server.machine.status().truth("freshConnectionSeen") == true
            }
            #expect(try await new.run(1, "true").status == 0)
            #expect(try await old.run(1, server.line("confirm")).status == 7)
            let insisted = try await old.run(2, server.line("confirm --same-connection --json"))
            #expect(insisted.status == 0, "\(insisted.errors)")
            #expect(try JSON(insisted).text("outcome") == "kept")
        }
    }

    @Test("a login of less than half a second is seen, long after the change began", arguments: 1...3)
    func short(_ attempt: Int) async throws {
        try await SSHServer.with(TestBackend.installed[0]) { server in
            try await server.machine.begin(.keep)
            // By now the guard wakes up only to renew the gates; each attempt is at another moment between two renewals.
            try await Task.sleep(for: .milliseconds(3_500 + 700 * attempt))
            #expect(try await server.logIn("sleep 0.3").status == 0)
            try await Task.sleep(for: .milliseconds(300))
            #expect(try await server.machine.status().truth("freshConnectionSeen") == true)
            #expect(try await server.machine.latchkey("revert").status == 0)
        }
    }

    @Test("a login that got in because another program flushed the new rules cannot confirm")
    func falseProof() async throws {
        try await SSHServer.with(TestBackend.installed[0]) { server in
            let machine = server.machine
            try machine.root.write(
                "version: 1\nssh: { from: [203.0.113.9] }\nexisting: replace\n", to: "replace.yaml")
            try await machine.begin(.replace)
            #expect(try await server.logIn("true", ["-o", "ConnectTimeout=2"]).status == 255, "no login is possible")
            for family in IPFamily.allCases { try await machine.iptables("-F INPUT", family) }
            #expect(try await machine.status().truth("drift") == true)
            let login = try await server.session("false")
            let refused = try await login.run(1, server.line("confirm --json"))
            #expect(refused.status == 7, "\(refused.errors)")
            #expect(try JSON(refused).text("outcome") == "refused")
            // The new rules are active again, and that login is older than they are.
            let status = try await machine.status()
            #expect(status.text("state") == "pending")
            #expect(status.truth("drift") == false && status.truth("freshConnectionSeen") == false, "\(status)")
            #expect(try await server.logIn("true", ["-o", "ConnectTimeout=2"]).status == 255, "no login is possible")
            #expect(try await login.run(2, server.line("confirm")).status == 7)
            #expect(try await machine.latchkey("revert").status == 0)
            #expect(try await server.logIn("true").status == 0)
        }
    }

    @Test("a connection that sshd had not yet accepted when the rules became active cannot confirm")
    func queued() async throws {
        try await SSHServer.with(TestBackend.installed[0]) { server in
            kill(server.daemon.id, SIGSTOP)
            async let early = server.logIn(server.line("confirm"), ["-o", "ConnectTimeout=50"])
            try await until("a connection in the queue") {
                try await server.machine.namespace.mustRun(["ss", "-ltnH"]).split(separator: "\n").contains {
                    $0.contains("0.0.0.0:22 ") && $0.split(separator: " ").dropFirst().first != "0"
                }
            }
            try await server.machine.begin(.keep)
            kill(server.daemon.id, SIGCONT)
            let refused = try await early
            #expect(refused.status == 7, "\(refused.errors)")
            #expect(try await server.machine.status().truth("freshConnectionSeen") == false)
            #expect(try await server.logIn(server.line("confirm")).status == 0)
        }
    }

    @Test("a session kept alive by setsid cannot confirm once its connection is gone")
    func orphan() async throws {
        try await SSHServer.with(TestBackend.installed[0]) { server in
            let output = "\(server.machine.root.path)/orphan"
            let wait = "while [ ! -e '\(output).go' ]; do sleep 0.1; done; \(server.line("confirm"))"
            let left = try await server.logIn(
                "setsid sh -c \"\(wait); echo \\$? >'\(output)'\" </dev/null >/dev/null 2>&1 & sleep 0.3")
            #expect(left.status == 0)
            try await server.machine.begin(.keep)
            try server.machine.root.write("", to: "orphan.go")
            try await until("its answer") { FileManager.default.fileExists(atPath: output) }
            try await until("its answer") { try server.machine.root.read("orphan") == "7\n" }
            #expect(try await server.machine.status().text("state") == "pending")
        }
    }

    @Test("a plan that would lock you out exits with 4, and nothing changes", arguments: Case.all)
    func lockout(_ test: Case) async throws {
        try await SSHServer.with(test.backend) { server in
            let answers = "version: 1\nadmins: [203.0.113.9]\nssh: { from: admins }\nexisting: \(test.existing)\n"
            try server.machine.root.write(answers, to: "\(test.existing).yaml")
            let before = try await server.machine.rules()
            let words = server.machine.applyWords(test.existing, ["--detach", "--json", Machine.rehearsed])
            let refused = try await server.logIn(server.line(words.joined(separator: " ")), from: SSHServer.stranger)
            #expect(refused.status == 4, "\(refused.errors)")
            #expect(refused.errors.contains(SSHServer.stranger))
            #expect(try JSON(refused).text("outcome") == "refused")
            #expect(
                try await server.machine.rules() == before)
            #expect(try await server.machine.latchkey("confirm").status == 6)
            // From an address that the plan allows it is no lockout, and a forced apply continues.
            let forced = try await server.logIn(
                server.line(server.machine.applyWords(test.existing, ["--detach"]).joined(separator: " ")),
                from: SSHServer.stranger)
            #expect(forced.status == 0, "\(forced.errors)")
            #expect(forced.errors.contains("rehearsal"))
            #expect(try await server.machine.latchkey("revert").status == 0)
        }
    }

    @Test(
        "a person at a link-local address is not locked out either: the answers are checked, and the output says so")
    func lockoutOnTheLink() async throws {
        try await SSHServer.with(TestBackend.installed[0]) { server in
            func linkAddress(_ namespace: NetworkNamespace) async throws -> String {
                let words = ["ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link", "-tentative"]
                for _ in 0..<50 {
                    let fields = try await namespace.mustRun(words).split(separator: " ")
                    if let address = fields.first(where: { $0.hasPrefix("fe80:") }) {
                        return String(address.prefix { $0 != "/" })
                    }
                    try await Task.sleep(for: .milliseconds(100))
                }
                throw SpawnError("no address of the link")
            }
            let door = try await linkAddress(server.machine.namespace) + "%eth0"
            let peer = try await linkAddress(server.outside)
            func come(_ words: [String]) async throws -> Finished {
                try await server.logIn(server.line(words.joined(separator: " ")), from: nil, to: door)
            }
            let file = try server.machine.root.write(
                "version: 1\nadmins: [203.0.113.9]\nssh: { from: admins }\n", to: "keep.yaml")
            let applied = try await come(server.machine.applyWords(.keep, ["--detach", Machine.rehearsed]))
            #expect(applied.status == 4, "\(applied.errors)")
            #expect(applied.errors.contains("\(peer) to port 22 would be blocked"))
            let rehearsed = try await come(["rehearse", "--json", "--answers", file])
            #expect(rehearsed.status == 4)
            #expect(try JSON(rehearsed).truth("passed") == false)

            try server.machine.root.write("version: 1\nssh: { from: [\"fe80::/10\"] }\n", to: "keep.yaml")
            let open = try await come(["rehearse", "--answers", file])
            #expect(open.status == 0, "\(open.errors)")
            #expect(open.errors.contains("was checked against the answers"))

            let rules = try server.machine.root.write("*filter\n:INPUT ACCEPT\nCOMMIT\n", to: "rules")
            let written = try await come(["apply", "--detach", "--rules", rules])
            #expect(written.errors.contains("latchkey did not check whether this change"))
            #expect(try await server.machine.latchkey("revert").status == 0)
        }
    }

    @Test(
        "a snapshot that would lock you out exits with 4, and nothing changes", arguments: TestBackend.installed
    )
    func lockoutBySnapshot(backend: TestBackend) async throws {
        try await SSHServer.with(backend) { server in
            try await server.machine.load { family in
                "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n"
                    + (family == .ipv4 ? "-A INPUT -s \(SSHServer.admin)/32 -p tcp -m tcp --dport 22 -j ACCEPT\n" : "")
                    + "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n"
            }
            try await server.machine.begin(.replace)
            let snapshot = try #require(try await server.machine.status().text("snapshot"))
            #expect(try await server.machine.latchkey("confirm").status == 0)
            let open = try await server.machine.rules()
            let words = "snapshots restore \(snapshot) --detach --json"
            let refused = try await server.logIn(server.line(words), from: SSHServer.stranger)
            #expect(refused.status == 4, "\(refused.errors)")
            #expect(refused.errors.contains(SSHServer.stranger))
            #expect(try JSON(refused).text("outcome") == "refused")
            #expect(try await server.machine.rules() == open)
            // Those rules allow the administrator, who may therefore restore them.
            let restored = try await server.logIn(server.line(words), from: SSHServer.admin)
            #expect(restored.status == 0, "\(restored.errors)")
            #expect(restored.errors.contains("Rehearsal passed: "))
            #expect(try await server.machine.latchkey("revert").status == 0)
            let forced = try await server.logIn(server.line(words + " --no-rehearsal"), from: SSHServer.stranger)
            #expect(forced.status == 0, "\(forced.errors)")
            #expect(forced.errors.contains("latchkey did not check whether this change"))
            #expect(try await server.machine.latchkey("revert").status == 0)
        }
    }

    @Test("while a change is pending every apply is refused before any rehearsal")
    func pendingFirst() async throws {
        try await SSHServer.with(TestBackend.installed[0]) { server in
            let closed = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
            try await server.machine.load { _ in closed }
            try await server.machine.begin(.keep)
            let pending = try #require(try await server.machine.status().text("change"))
            try server.machine.root.write("version: 1\nssh: { from: [203.0.113.9] }\n", to: "keep.yaml")
            let file = try server.machine.root.write(closed, to: "closed.rules")
            // Each of them would block this connection.
            for words in [
                server.machine.applyWords(.keep, ["--json", Machine.rehearsed]).joined(separator: " "),
                "apply --rules \(file) --json --backend \(server.machine.backend.rawValue)",
                "snapshots restore \(pending) --json",
            ] {
                let refused = try await server.logIn(server.line(words), from: SSHServer.stranger)
                #expect(refused.status == 5, "\(words): \(refused.errors)")
                let report = try JSON(refused)
                #expect(report.text("outcome") == "refused")
                #expect(report.text("change") == pending && report.text("snapshot") == pending)
            }
            #expect(try await server.machine.latchkey("revert").status == 0)
        }
    }

    @Test("answers are read over the connection", arguments: ["plan --family ipv4", "apply --detach --no-rehearsal"])
    func input(_ command: String) async throws {
        try await SSHServer.with(TestBackend.installed[0]) { server in
            let finished = try await server.logIn(
                server.line("\(command) --answers -"), input: Array(Answers.keep.utf8))
            #expect(finished.status == 0, "\(finished.errors)")
        }
    }
}
