import Host
import Netfilter
import Synchronization
import Testing

@testable import SafeApply

extension GuardTests {
    @Suite("The guard and faults around it")
    struct GuardFaultTests {
        /// Lets a fault happen this many times.
        private final class Countdown: Sendable {
            private let left: Mutex<Int>

            init(_ count: Int) { left = Mutex(count) }

            func take() -> Bool {
                left.withLock { left in
                    left -= 1
                    return left >= 0
                }
            }
        }

        private static let refusal = CommandResult(status: 4, message: "iptables-restore: line 3 failed: busy")

        @Test("if a tool refuses the trial, the change is reverted and leaves nothing behind")
        func loadFails() async throws {
            let bench = try GuardBench()
            let earlier = bench.rules.current
            bench.rules.fail { _, input in input.contains("-I INPUT") ? Self.refusal : nil }
            let serving = bench.serve()
            let begun = try await bench.ask(GuardRequest(.begin))
            #expect(begun.status.state == .reverted)
            #expect(begun.status.verified)
            try await serving.value
            #expect(Self.rules(bench.rules.current) == Self.rules(earlier))
        }

        @Test("a kernel without the match recent gets a gate without a condition, and the status says so")
        func noRecent() async throws {
            let bench = try GuardBench()
            bench.rules.fail { _, input in input.contains("-m recent") ? Self.refusal : nil }
            let serving = bench.serve()
            let begun = try await bench.ask(GuardRequest(.begin))
            #expect(begun.answer == .done, "\(begun.text)")
            #expect(begun.status.gate == GateKind.none)
            let reverted = try await bench.ask(GuardRequest(.revert))
            #expect(reverted.status.state == .reverted)
            #expect(!bench.rules.current.contains("latchkey"))
            try await serving.value
        }

        private static func rules(_ text: String) -> RuleSet? {
            (try? RuleSet(dumped: text, file: "rules"))?.normalized()
        }

        @Test("without space for the final state the journal is removed, so that no guard reverts later changes")
        func noRoomAtTheEnd() async throws {
            let bench = try GuardBench()
            let earlier = bench.rules.current
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            try bench.blockJournal()
            let reverted = try await bench.ask(GuardRequest(.revert))
            #expect(reverted.status.state == .reverted)
            try await serving.value
            #expect(Self.rules(bench.rules.current) == Self.rules(earlier))
            #expect(bench.journal == nil)
            #expect(try History(bench.environment).entries().map { $0.ended?.state } == [.reverted])
        }

        @Test("rules that another program changes while they are made permanent are made permanent again")
        func keepAgain() async throws {
            let bench = try GuardBench()
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            // Loaded, and lost again before the dump.
            let twice = Countdown(2)
            bench.rules.fail { arguments, _ in
                !arguments.contains("--test") && twice.take() ? CommandResult(status: 0) : nil
            }
            let kept = try await bench.ask(GuardRequest(.confirm))
            #expect(kept.answer == .done, "\(kept.text)")
            #expect(bench.rules.current.contains(":INPUT DROP"))
            try await serving.value
        }

        @Test("the emergency opening is reported as active once a dump shows it, in the log and on every terminal")
        func opening() async throws {
            let bench = try GuardBench()
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            // The permanent rules are loaded in part, the previous ones are refused, and the opening is lost once.
            let (half, once) = (Countdown(1), Countdown(1))
            let rules = bench.rules
            rules.fail { _, input in
                if input.contains("emergency opening") { return once.take() ? CommandResult(status: 0) : nil }
                if half.take() { rules.edit("*filter\n:INPUT DROP [0:0]\nCOMMIT\n") }
                return Self.refusal
            }
            // Nor does it have to wait until the guard gives up on the previous rules.
            let moved = bench.moved
            Task {
                try await Task.sleep(for: .seconds(1))
                moved.passTime(milliseconds: 16_000)
            }
            _ = try await bench.ask(GuardRequest(.confirm))
            let ended = try await bench.ask(GuardRequest(.wait))
            #expect(ended.status.state == .failed)
            #expect(ended.status.isOpened == true)
            #expect(ended.text.contains("SSH and the admins are allowed ahead of all other rules"))
            #expect(bench.rules.current.contains("emergency opening"))
            try await serving.value
            // Nobody waits for this message: the first failed attempt is reported as well.
            #expect(bench.rules.told.count == 2)
            #expect(bench.rules.told.first?.contains("could be activated yet") == true)
            #expect(bench.rules.told.last == "latchkey: \(ended.text)\n")
        }
    }
}
