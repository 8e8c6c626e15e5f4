import Host
import Netfilter
import TestSupport
import Testing

@testable import SafeApply

extension GuardTests {
    @Suite("The guard and its gates")
    struct GuardGateTests {
        private let bench: GuardBench

        init() throws { bench = try GuardBench() }

        private func wait(_ comment: Comment, _ condition: () -> Bool) async throws {
            for _ in 0..<1_500 {
                if condition() { return }
                try await Task.sleep(for: .milliseconds(10))
            }
            Issue.record(comment)
        }

        @Test("the previous rules stay loaded below the trial, and a change of the date has no effect")
        func trial() async throws {
            let earlier = bench.rules.current
            let serving = bench.serve()
            let begun = try await bench.ask(GuardRequest(.begin))
            #expect(begun.answer == .done, "\(begun.text)")
            #expect(begun.status.gate == .recent)
            #expect(bench.gate == "+0.0.0.0")
            #expect(bench.rules.current.contains("--name latchkey4 --mask 0.0.0.0"))
            bench.moved.setDate(by: 86_400)
            bench.moved.setDate(by: -2 * 86_400)
            let status = try await bench.ask(GuardRequest(.status)).status
            #expect(status.state == .applied)
            #expect((30...60).contains(status.secondsLeft ?? 0), "\(status.secondsLeft ?? -1) s are left")

            bench.moved.passTime(milliseconds: 61_000)
            try await serving.value
            #expect(bench.gate.hasPrefix("/"))
            #expect(Self.rules(bench.rules.current) == Self.rules(earlier))
        }

        @Test("extend counts from now, never shortens the time, and ends an hour after the change began")
        func extend() async throws {
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            let longer = try await bench.ask(GuardRequest(.extend, seconds: 300)).status
            #expect((290...300).contains(longer.secondsLeft ?? 0))
            let same = try await bench.ask(GuardRequest(.extend, seconds: 10)).status
            #expect((290...300).contains(same.secondsLeft ?? 0))
            let usual = try await bench.ask(GuardRequest(.extend)).status
            #expect((290...300).contains(usual.secondsLeft ?? 0))
            let limit = try await bench.ask(GuardRequest(.extend, seconds: 100_000)).status
            #expect((3_590...3_600).contains(limit.secondsLeft ?? 0))
            let largest = try await bench.ask(GuardRequest(.extend, seconds: .max)).status
            #expect(largest.state == .applied && largest.secondsLeft.map { $0 <= 3_600 } ?? false)
            _ = try await bench.ask(GuardRequest(.revert))
            try await serving.value
        }

        @Test("if the gates were not renewed for a while, no login from before counts")
        func lapse() async throws {
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            bench.connections.setLogin("192.0.2.1", started: bench.environment.clock.now().advanced(milliseconds: 200))
            // The whole machine was suspended: a guard that runs again renews, and starts counting again.
            bench.moved.passTime(milliseconds: 15_000)
            try await wait("the lapse was noticed") {
                (bench.journal?.freshSince).map { $0 > bench.environment.clock.now().advanced(milliseconds: -10_000) }
                    ?? false
            }
            let reply = try await bench.ask(GuardRequest(.confirm))
            #expect(reply.answer == .notFresh)
            _ = try await bench.ask(GuardRequest(.revert))
            try await serving.value
        }

        @Test("confirm reloads a trial that another program flushed, and the answer says so")
        func flushed() async throws {
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            bench.connections.setLogin("192.0.2.1", started: bench.environment.clock.now().advanced(milliseconds: 200))
            bench.rules.edit("*filter\n-F INPUT\nCOMMIT\n")
            let early = try await bench.ask(GuardRequest(.confirm))
            #expect(early.answer == .notFresh, "\(early.text)")
            #expect(bench.rules.current.contains("-g latchkey-trial-INPUT"))
            bench.connections.setLogin("192.0.2.1", started: bench.environment.clock.now().advanced(milliseconds: 500))
            let late = try await bench.ask(GuardRequest(.confirm))
            #expect(late.answer == .done, "\(late.text)")
            #expect(!bench.rules.current.contains("latchkey-trial"))
            try await serving.value
        }

        @Test("a missing gate is noticed when renewing fails: the trial is loaded again")
        func gone() async throws {
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            bench.rules.edit("*filter\n-F INPUT\nCOMMIT\n")
            try bench.removeList()
            try await wait("the gate's rule is back") { bench.rules.current.contains("-g latchkey-trial-INPUT") }
            try bench.makeList()
            try await wait("the gate is open") { bench.gate.hasPrefix("+") }
            _ = try await bench.ask(GuardRequest(.revert))
            try await serving.value
        }

        @Test("closed gates are reported at once, even if the tools fail; the rest is cleaned up later")
        func tidying() async throws {
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            bench.rules.fail { _, _ in
                CommandResult(status: 4, message: "Another app is currently holding the xtables lock")
            }
            let start = ContinuousClock.now
            let reverted = try await bench.ask(GuardRequest(.revert))
            #expect(ContinuousClock.now - start < .seconds(3))
            #expect(reverted.status.state == .reverted && reverted.status.verified)
            #expect(bench.gate.hasPrefix("/"))
            #expect(bench.rules.current.contains("latchkey-trial"))
            bench.rules.fail { _, _ in nil }
            try await serving.value
            #expect(!bench.rules.current.contains("latchkey-trial"))
        }

        private static func rules(_ text: String) -> RuleSet? {
            (try? RuleSet(dumped: text, file: "rules"))?.normalized()
        }
    }
}
