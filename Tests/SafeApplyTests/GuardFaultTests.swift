import Host
import Synchronization
import Testing

@testable import SafeApply

extension GuardTests {
    @Suite("The guard and what goes wrong around it")
    struct GuardFaultTests {
        /// Lets a fault happen so many times.
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

        private static func hasTimeMatch(_ input: String) -> Bool { input.contains("-m time") }

        @Test("a tool that fails once while it is asked for the time match costs no expiry")
        func probedAgain() async throws {
            let bench = try GuardBench()
            let once = Countdown(1)
            bench.rules.fail { _, input in Self.hasTimeMatch(input) && once.take() ? Self.refusal : nil }
            let serving = bench.serve()
            let begun = try await bench.ask(GuardRequest(.begin))
            #expect(begun.answer == .done)
            #expect(begun.status.expires == true)
            #expect(bench.rules.current.contains("--datestop"))
            _ = try await bench.ask(GuardRequest(.revert))
            try await serving.value
        }

        @Test(
            "a tool that fails once while it loads the pending form has the change reverted, never left without expiry")
        func loadFailsOnce() async throws {
            let bench = try GuardBench()
            let earlier = bench.rules.current
            let once = Countdown(1)
            bench.rules.fail { arguments, input in
                Self.hasTimeMatch(input) && !arguments.contains("--test") && once.take() ? Self.refusal : nil
            }
            let serving = bench.serve()
            let begun = try await bench.ask(GuardRequest(.begin))
            #expect(begun.status.state == .reverted)
            #expect(begun.status.verified)
            #expect(bench.rules.current == earlier)
            try await serving.value
        }

        @Test(
            "a kernel without the time match gets the permanent form, and the status says that it does not expire",
            arguments: [
                CommandResult(status: 2, message: "Couldn't load match `time'"),
                CommandResult(
                    status: 0,
                    message: "Warning: Extension time revision 0 not supported, missing kernel module?"),
            ])
        func noTimeMatch(answer: CommandResult) async throws {
            let bench = try GuardBench()
            bench.rules.fail { _, input in Self.hasTimeMatch(input) ? answer : nil }
            let serving = bench.serve()
            let begun = try await bench.ask(GuardRequest(.begin))
            #expect(begun.answer == .done)
            #expect(begun.status.expires == false)
            #expect(bench.rules.current.contains(":INPUT DROP"))
            _ = try await bench.ask(GuardRequest(.revert))
            try await serving.value
        }

        @Test("without room for the last word the journal goes, so that no guard reverts what is set up afterwards")
        func noRoomAtTheEnd() async throws {
            let bench = try GuardBench()
            let earlier = bench.rules.current
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            try bench.blockJournal()
            let reverted = try await bench.ask(GuardRequest(.revert))
            #expect(reverted.status.state == .reverted)
            try await serving.value
            #expect(bench.rules.current == earlier)
            #expect(bench.journal == nil)
            #expect(try History(bench.surroundings).entries().map { $0.ended?.state } == [.reverted])
        }

        @Test("rules that another program changes while they are made permanent are made so once more")
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

        @Test("the opening is said to be in force once a dump shows it, in the log and at every terminal")
        func opening() async throws {
            let bench = try GuardBench()
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            // The earlier rules are refused for good, the opening is lost once.
            let once = Countdown(1)
            bench.rules.fail { _, input in
                if input.contains("emergency opening") { return once.take() ? CommandResult(status: 0) : nil }
                return Self.refusal
            }
            bench.moved.passTime(milliseconds: 61_000)
            // Nor has it to wait until the guard gives the earlier rules up.
            let moved = bench.moved
            Task {
                try await Task.sleep(for: .seconds(1))
                moved.passTime(milliseconds: 16_000)
            }
            let ended = try await bench.ask(GuardRequest(.wait))
            #expect(ended.status.state == .failed)
            #expect(ended.status.isOpened == true)
            #expect(ended.text.contains("SSH and the admins are let in ahead of all other rules"))
            #expect(bench.rules.current.contains("emergency opening"))
            try await serving.value
            // Nobody waits for word until it is: the first attempt that fails is told as well.
            #expect(bench.rules.told.count == 2)
            #expect(bench.rules.told.first?.contains("could be put in force yet") == true)
            #expect(bench.rules.told.last == "latchkey: \(ended.text)\n")
        }
    }
}
