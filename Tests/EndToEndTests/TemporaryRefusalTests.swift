import Foundation
import Glibc
import TestSupport
import Testing

/// What `allow`, `block` and `forget` refuse.
@Suite("Refused temporary entries", .kernel, .tool("ipset"), .inTurn)
struct TemporaryRefusalTests {
    private static func words(_ finished: Finished) -> String {
        finished.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    @Test("where latchkey has set up nothing, the exit code is 69", arguments: ["allow", "block"])
    func nothing(_ command: String) async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            let finished = try await machine.latchkey(command, "203.0.113.9")
            #expect(finished.status == 69)
            #expect(Self.words(finished).contains("latchkey has not set up a firewall here"))
            #expect(try await machine.rules() == Machine.none)
            #expect(try await machine.latchkey("forget", "203.0.113.9").status == 6)
        }
    }

    @Test("bad input exits with 65 or 64 and does nothing", arguments: Sampled.cases(TemporaryCase.backends, oneOf: 2))
    func badInput(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            let before = try await server.state()
            for source in [
                "0.0.0.0/0", "::/0", "127.0.0.1", "127.1.0.0/16", "::1", "203.0.113.9/24", "wg0", "203.0.113.300",
                "ff02::1", "", "fe80::1%eth0",
            ] {
                try await server.must("allow", source, status: 65)
                try await server.must("block", source, status: 65)
            }
            for what in ["wbe", "80", "0/tcp", "70000/tcp", "90-80/tcp", "80/icmp", "ipsec", "everything; id"] {
                try await server.must("allow", "203.0.113.9", what, status: 65)
            }
            for time in ["0", "25d", "-5m", "soon", "2w", "99999999999d"] {
                try await server.must("allow", "203.0.113.9", "--for=\(time)", status: 64)
            }
            try await server.must("block", "203.0.113.9", "80/tcp", status: 64)
            // Admins, in whole or in part, and networks that contain them.
            for source in ["192.168.1.33", "192.168.0.0/16", "2001:db8:5::/48", "2001:db8:5::7"] {
                let refused = try await server.must("block", source, status: 65)
                #expect(Self.words(refused).contains("would block the admin"))
            }
            #expect(try await server.state() == before)
            let unknown = try await server.must("forget", "203.0.113.9", status: 6)
            #expect(
                Self.words(unknown).contains("There is no temporary entry for exactly 203.0.113.9, and none at all."))
            try await server.must("allow", "203.0.113.0/24")
            let listed = try await server.must("forget", "203.0.113.9", status: 6)
            #expect(Self.words(listed).contains("There are: 203.0.113.0/24 may reach everything until reboot."))
            let vain = try await server.must("block", "203.0.113.9", status: 65)
            #expect(Self.words(vain).contains("203.0.113.9 is in 203.0.113.0/24, which is allowed for a while"))
        }
    }

    @Test(
        "blocking the address of the present SSH connection exits with 4",
        arguments: Sampled.cases(TemporaryCase.backends, oneOf: 2))
    func caller(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            for (address, source) in zip(TemporaryServer.strangers, TemporaryServer.networks) {
                let refused = try await Latchkey.run(
                    ["block", source], root: server.machine.root, in: server.machine.namespace,
                    environment: ["SSH_CONNECTION": "\(address) 50000 192.0.2.2 22"])
                #expect(refused.status == 4, "\(refused.errors)")
                #expect(Self.words(refused).contains(address))
            }
            #expect(try await server.listed() == [])
            try await server.expectAnswers()
        }
    }

    @Test("blocking the peer of a real SSH login exits with 4", .sshd)
    func login() async throws {
        try await SSHServer.with(TestBackend.installed[0]) { server in
            try await server.machine.begin(.keep)
            #expect(try await server.machine.latchkey("confirm").status == 0)
            let source = SSHServer.stranger
            let refused = try await server.logIn(server.line("block \(source)"), from: source)
            #expect(refused.status == 4, "\(refused.errors)")
            #expect(Self.words(refused).contains("your own SSH connection"))
            let allowed = try await server.logIn(server.line("block 203.0.113.0/24 --for 1h"), from: source)
            #expect(allowed.status == 0, "\(allowed.errors)")
        }
    }

    @Test("without ipset, iptables has no temporary entries: 69 with what is missing", arguments: TestBackend.installed)
    func withoutSets(_ backend: TestBackend) async throws {
        let test = TemporaryCase(backend: backend, existing: .keep)
        try await TemporaryServer.with(test) { server in
            let before = try await server.machine.rules()
            let real = URL(fileURLWithPath: try Tool.path("ipset")).resolvingSymlinksInPath()
            try await server.machine.namespace.mustRun(["mount", "--bind", "/dev/null", real.path])
            for command in ["allow", "block"] {
                let refused = try await server.must(command, "203.0.113.9", status: 69)
                #expect(Self.words(refused).contains("The program \"ipset\" is missing"))
                #expect(Self.words(refused).contains("apt-get install ipset"))
            }
            #expect(try await server.machine.rules() == before)
            #expect(try await server.listed() == [])
        }
    }

    @Test("if the rules cannot be loaded, no set is left", arguments: TestBackend.installed)
    func halfDone(_ backend: TestBackend) async throws {
        let test = TemporaryCase(backend: backend, existing: .keep)
        try await TemporaryServer.with(test) { server in
            let before = try await server.state()
            try await FakeTool.ip6tablesRestore("exit 1", on: server.machine)
            try await server.must("allow", TemporaryServer.strangers[1], status: 1)
            #expect(try await server.state() == before)
            try await server.must("allow", TemporaryServer.strangers[0])
            #expect(try await server.listed().count == 1)
        }
    }

    @Test("answers whose admins are blocked are refused", arguments: Sampled.cases(TemporaryCase.backends, oneOf: 2))
    func blockedAdmin(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            try await server.must("block", "203.0.113.0/24")
            let path = try server.machine.root.write("version: 1\nadmins: [203.0.113.9]\n", to: "new.yaml")
            let refused = try await server.must("apply", "--answers", path, "--no-rehearsal", "--detach", status: 65)
            #expect(Self.words(refused).contains("The admin 203.0.113.9 is blocked for a while: 203.0.113.0/24."))
            try await server.must("forget", "203.0.113.0/24")
            try await server.must("apply", "--answers", path, "--no-rehearsal", "--detach")
            // Admins of the pending answers count too.
            let pending = try await server.must("block", "203.0.113.0/24", status: 65)
            #expect(Self.words(pending).contains("would block the admin 203.0.113.9"))
            try await server.must("revert")
            try await server.must("block", "203.0.113.0/24")
        }
    }

    @Test("without root the exit code is 77", arguments: ["allow", "block", "forget"])
    func notRoot(_ command: String) async throws {
        let root = try TemporaryFolder()
        let nobody = geteuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"] : []
        let finished = try await run(
            nobody + [Latchkey.path, command, "203.0.113.9"], environment: Latchkey.environment(root: root))
        #expect(finished.status == 77, "\(finished.errors)")
    }
}
