import Foundation
import Glibc
import TestSupport
import Testing

@Suite("The guard of a pending change", .kernel, .inTurn)
struct GuardTests {
    @Test("a killed waiting program does not stop the revert", arguments: [SIGKILL, SIGHUP, SIGTERM, SIGINT])
    func waitingKilled(_ signal: Int32) async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await machine.load(EarlierRules.filterWithoutSets)
            let before = try await machine.rules()
            let waiting = try machine.namespace.start(
                [Latchkey.path] + machine.applyWords(.keep), environment: Latchkey.environment(root: machine.root))
            _ = try await machine.pending()
            kill(waiting.id, signal)
            try await until("its end") { waiting.statusIfEnded() != nil }
            #expect(try await machine.rules() != before)
            try await until("the revert", within: .seconds(25)) { try await machine.rules() == before }
            try await until("the report") { try await machine.status().text("state") == "reverted" }
        }
    }

    @Test("a closed terminal does not stop the revert", arguments: [TestBackend.installed[0]])
    func terminalGone(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await machine.load(EarlierRules.filterWithoutSets)
            let before = try await machine.rules()
            let words = try machine.namespace.enterCommand([Latchkey.path] + machine.applyWords(.replace))
            let pty = try Pty(
                words[0], Array(words.dropFirst()), environment: Latchkey.environment(root: machine.root))
            try await pty.expect("rules are active", within: .seconds(30))
            #expect(try await machine.rules() != before)
            await pty.hangUp()
            try await until("the revert") { try await machine.rules() == before }
            #expect(try await machine.status().text("state") == "reverted")
        }
    }

    @Test("an apply that is suspended at any point of the start does not report a failure")
    func slowStart() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            for round in 0..<8 {
                let applying = try machine.namespace.start(
                    [Latchkey.path] + machine.applyWords(.keep, ["--detach", "--deadline", "5m"]),
                    environment: Latchkey.environment(root: machine.root))
                try await until("the guard") { !machine.processes("supervise").isEmpty }
                // The guard writes its journal and removes the request meanwhile.
                try await Task.sleep(for: .milliseconds(round * 25))
                kill(applying.id, SIGSTOP)
                try await Task.sleep(for: .milliseconds(400))
                kill(applying.id, SIGCONT)
                var status: Int32?
                try await until("the end of apply") {
                    status = applying.statusIfEnded()
                    return status != nil
                }
                #expect(status == 0, "held up after \(round * 25) ms")
                #expect(try await machine.status().text("state") == "pending")
                #expect(try await machine.latchkey("revert").status == 0)
                try await until("the end of the guard") {
                    machine.processes("guard").isEmpty && machine.processes("supervise").isEmpty
                }
            }
        }
    }

    @Test("signals that end other programs do not end it")
    func signals() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await machine.begin(.keep)
            let guardian = try #require(try await machine.status().object("guard")?.number("pid"))
            for signal in [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGUSR1, SIGTSTP] {
                kill(pid_t(guardian), signal)
                for supervisor in machine.processes("supervise") { kill(supervisor, signal) }
            }
            try await Task.sleep(for: .milliseconds(700))
            #expect(try await machine.status().object("guard")?.number("pid") == guardian)
            #expect(machine.processes("supervise").count == 1)
            #expect(try await machine.latchkey("revert").status == 0)
        }
    }

    @Test("it has no terminal, no session of the caller's, and no open files except its own")
    func detached() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await machine.begin(.keep)
            let guardian = try #require(try await machine.status().object("guard")?.number("pid"))
            #expect(getsid(pid_t(guardian)) == pid_t(guardian))
            let folder = "/proc/\(guardian)/fd"
            let files = FileManager.default
            for descriptor in try files.contentsOfDirectory(atPath: folder) {
                // A file that was open only for a moment is gone.
                guard let target = try? files.destinationOfSymbolicLink(atPath: "\(folder)/\(descriptor)") else {
                    continue
                }
                let isStandard = ["0", "1", "2"].contains(descriptor)
                let isOwn =
                    target.hasPrefix("\(machine.root.path)/") || target.hasPrefix("socket:")
                    || target.hasPrefix("anon_inode:") || target.hasPrefix("/proc/")
                #expect(isStandard ? target == "/dev/null" : isOwn, "\(descriptor) is \(target)")
            }
            #expect(try await machine.latchkey("revert").status == 0)
            // And neither it nor its supervisor stays after the change has ended.
            try await until("their end", within: .seconds(10)) {
                machine.processes("guard").isEmpty && machine.processes("supervise").isEmpty
            }
        }
    }

    @Test("after a kill it is started again and reverts on time", arguments: Case.crossed)
    func killed(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await machine.load(EarlierRules.filterWithoutSets)
            let before = try await machine.rules()
            async let outcome = machine.apply(test.existing, "--deadline", "15s", "--json")
            let first = try await machine.pending()
            let asked = ContinuousClock.now
            let left = try #require(first.number("secondsLeft"))
            let pid = try #require(first.object("guard")?.number("pid"))
            kill(pid_t(pid), SIGKILL)
            let second = try await machine.pending()
            #expect(second.text("change") == first.text("change"))
            #expect(second.object("guard")?.number("pid") != pid)
            #expect(try #require(second.number("secondsLeft")) <= left)
            let applied = try await outcome
            let took = ContinuousClock.now - asked
            #expect(applied.status == 3)
            #expect(try JSON(applied).truth("verified") == true)
            try await machine.expectBack(before)
            #expect(took >= .seconds(left - 2), "reverted before the deadline")
            #expect(took <= .seconds(left + 15), "reverted long after the deadline")
        }
    }

    @Test(
        "if it is killed with its supervisor, any command starts another that continues",
        arguments: ["status", "confirm", "revert"])
    func bothKilled(_ command: String) async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await machine.load(EarlierRules.filterWithoutSets)
            let before = try await machine.rules()
            try await machine.begin(.replace, deadline: "20s")
            let asked = ContinuousClock.now
            try await machine.killGuardians()
            let finished = try await machine.latchkey(command)
            #expect(finished.status == 0, "\(finished.errors)")
            switch command {
            case "confirm":
                try await expectPlan(.replace, on: machine)
            case "revert":
                try await machine.expectBack(before)
            default:
                #expect(try await machine.status().text("state") == "pending")
                // Twenty seconds until the deadline, and as long again on a busy machine.
                try await until("the revert", within: .seconds(40)) { try await machine.rules() == before }
                #expect(ContinuousClock.now - asked < .seconds(40))
            }
        }
    }

    @Test("if it is killed with its supervisor and the deadline has passed, the next command finds the previous rules")
    func late() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await machine.load(EarlierRules.filterWithoutSets)
            let before = try await machine.rules()
            try await machine.begin(.keep, deadline: "10s")
            try await machine.killGuardians()
            try await Task.sleep(for: .seconds(11))
            let confirmed = try await machine.latchkey("confirm")
            #expect(confirmed.status == 6, "\(confirmed.errors)")
            try await until("the revert") { try await machine.rules() == before }
            #expect(try await machine.status().text("state") == "reverted")
        }
    }
}
