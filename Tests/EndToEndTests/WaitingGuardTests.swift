import Foundation
import Glibc
import TestSupport
import Testing

@Suite("A guard that waits for its deadline", .kernel, .inTurn)
struct WaitingGuardTests {
    // The guard itself looks for logins whenever another test starts sshd; Tests/Benchmarks/guard counts its wake-ups.
    @Test("its supervisor wakes up only now and then")
    func wakeUps() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await machine.begin(.keep, deadline: "5m")
            var fewest = Int.max
            for _ in 0..<5 where fewest > 12 {
                try await Task.sleep(for: .seconds(1))
                let before = Self.waits(machine)
                try await Task.sleep(for: .seconds(5))
                fewest = min(fewest, Self.waits(machine) - before)
            }
            // Two checks, each by one thread and continued by another.
            #expect(fewest <= 12)
            #expect(try await machine.latchkey("revert").status == 0)
        }
    }

    /// How often the threads of the supervisor have waited.
    private static func waits(_ machine: Machine) -> Int {
        var count = 0
        for process in machine.processes("supervise") {
            let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
            for thread in threads {
                let status = FileManager.default.contents(atPath: "/proc/\(process)/task/\(thread)/status")
                let lines = String(decoding: status ?? Data(), as: UTF8.self).split(separator: "\n")
                let line = lines.first { $0.hasPrefix("voluntary_ctxt_switches:") }
                count += line.flatMap { Int($0.split(separator: "\t").last ?? "") } ?? 0
            }
        }
        return count
    }

    @Test("its supervisor resumes it when it is stopped, and restarts it when it is killed, without delay")
    func supervised() async throws {
        try await FaultScene.with(TestBackend.installed[0]) { scene in
            try await scene.apply(deadline: 60)
            // Each takes less than a supervisor that checks only now and then.
            for _ in 0..<4 {
                try await Task.sleep(for: .milliseconds(700))
                let guardian = try #require(scene.processes(["guard"]).first)
                scene.send(SIGSTOP, to: ["guard"])
                try await Self.soon("the guard to continue") { Self.state(guardian) != "T" }
            }
            let guardian = try #require(scene.processes(["guard"]).first)
            scene.send(SIGKILL, to: ["guard"])
            try await Self.soon("another guard") { scene.processes(["guard"]).contains { $0 != guardian } }
            #expect(try await scene.latchkey(["revert"]).status == 0)
            try await scene.expectBack()
        }
    }

    @Test("it restarts its supervisor when it is killed, and the new one restarts the guard")
    func supervisorKilled() async throws {
        try await FaultScene.with(TestBackend.installed[0]) { scene in
            try await scene.apply(deadline: 60)
            let supervisor = try #require(scene.processes(["supervise"]).first)
            scene.send(SIGKILL, to: ["supervise"])
            try await Self.soon("another supervisor") {
                scene.processes(["supervise"]).contains { $0 != supervisor }
            }
            try await Task.sleep(for: .milliseconds(500))
            // The kernel does not tell this supervisor of a guard that it did not start.
            let guardian = try #require(scene.processes(["guard"]).first)
            scene.send(SIGSTOP, to: ["guard"])
            try await Self.soon("the guard to continue") { Self.state(guardian) != "T" }
            scene.send(SIGKILL, to: ["guard"])
            try await Self.soon("another guard") { scene.processes(["guard"]).contains { $0 != guardian } }
            #expect(try await scene.latchkey(["revert"]).status == 0)
            try await scene.expectBack()
        }
    }

    private static func soon(_ what: String, _ condition: () async throws -> Bool) async throws {
        try await until(what, within: .milliseconds(2_000), condition)
    }

    private static func state(_ process: pid_t) -> Character? {
        let text = FileManager.default.contents(atPath: "/proc/\(process)/stat") ?? Data()
        return String(decoding: text, as: UTF8.self).split(separator: ")").last?.first { $0 != " " }
    }
}
