import Foundation
import Glibc
import TestSupport
import Testing

/// Where the match `recent` cannot be used, another kind of gate is used.
@Suite("Gates without the match recent", .kernel, .inTurn)
struct FallbackTests {
    @Test(
        "if the list is not writable, a set replaces it, and a gate without a condition replaces the set",
        arguments: TestBackend.installed, ["set", "none"])
    func fallback(backend: TestBackend, gate: String) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            try await Self.forbidRecent(on: machine, andSets: gate == "none")
            let before = try await machine.rules()

            try await machine.begin(.replace)
            #expect(try await machine.status().text("gate") == gate)
            #expect(try await outside.reachesByBoth(80))
            #expect(try await outside.reachesByNeither(7))
            #expect(try await machine.previousRules() == before)
            #expect(try await machine.latchkey("revert").status == 0)
            #expect(try await outside.reachesByBoth(7))
            try await expectTidy(machine)
            #expect(try await machine.rules() == before)

            async let outcome = machine.apply(.keep, "--json")
            _ = try await machine.pending()
            #expect(try await outcome.status == 3)
            #expect(try await outside.reachesByBoth(7))
            try await expectTidy(machine)

            try await machine.begin(.keep)
            #expect(try await machine.latchkey("confirm").status == 0)
            try await expectTidy(machine)
            #expect(try await outside.reachesByBoth(80))
            #expect(try await outside.reachesByNeither(7))
        }
    }

    @Test("with a set too, the previous rules are active within 20 s after everything is killed", .tool("ipset"))
    func killed() async throws {
        try await Machine.withOutside(TestBackend.installed[0]) { machine, outside in
            try await Self.forbidRecent(on: machine, andSets: false)
            try await machine.begin(.keep)
            #expect(try await outside.reachesByNeither(7))
            try await machine.killGuardians()
            try await until("the previous rules", within: .seconds(20)) { try await outside.reachesByBoth(7) }
        }
    }

    @Test("latchkey try works without root from the start to kept")
    func unprivileged() async throws {
        let root = try TemporaryFolder()
        let user =
            geteuid() == 0
            ? [try Tool.path("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", "--"] : []
        let words = user + [Latchkey.path, "try"]
        let pty = try Pty(words[0], Array(words.dropFirst()), environment: Latchkey.environment(root: root))
        for prompt in [
            "admins [192.0.2.1] > ", "ssh [everyone] > ", "services [", "ports [none] > ", "ping [nobody] > ",
            "quit [apply] > ",
        ] {
            try await pty.expect(prompt, within: .seconds(60))
            try await pty.line("")
        }
        try await pty.expect("keep / revert / more > ", within: .seconds(60))
        try await pty.line("keep")
        try await pty.expect("This was a test run. Nothing on this machine was changed.", within: .seconds(60))
        #expect(try await pty.exit(within: .seconds(30)) == 0)
    }

    /// Makes the lists of the match read-only: /proc is mounted read-only here.
    static func forbidRecent(on machine: Machine, andSets: Bool) async throws {
        try await machine.namespace.mustRun([
            "sh", "-euc", "mount --bind /proc /proc && mount -o remount,bind,ro /proc",
        ])
        guard andSets, let ipset = try? Tool.path("ipset") else { return }
        let real = URL(fileURLWithPath: ipset).resolvingSymlinksInPath()
        try await machine.namespace.mustRun(["mount", "--bind", "/dev/null", real.path])
    }

    private func expectTidy(_ machine: Machine) async throws {
        try await until("the end of the pending rules") { try await !PendingRules.areIn(machine.rules()) }
        let sets = try await machine.namespace.run(["ipset", "save"])
        #expect(!sets.output.contains("latchkey"), "\(sets.output)")
    }
}
