import Host
import Netfilter
import TestSupport
import Testing

@testable import SafeApply

extension GuardTests {
    @Suite("The guard and the clocks")
    struct GuardClockTests {
        private let bench: GuardBench

        init() throws { bench = try GuardBench() }

        /// Waits until the rules carry an expiry that lies so many seconds behind a date, give or take three.
        private func expectExpiry(_ seconds: Int64, after date: Int64, _ comment: Comment) async throws {
            let wanted = (seconds - 3...seconds + 3).map { UTCTime(secondsSince1970: date + $0).iso8601 }
            for _ in 0..<1_000 {
                if wanted.contains(where: { bench.rules.current.contains("--datestop \($0)") }) { return }
                try await Task.sleep(for: .milliseconds(10))
            }
            Issue.record("\(comment): not \(wanted[3]) in \(bench.rules.current)")
        }

        @Test("the date set forward or back moves the kernel's expiry along and leaves the deadline alone")
        func dateChanges() async throws {
            let earlier = bench.rules.current
            let serving = bench.serve()
            let begun = try await bench.ask(GuardRequest(.begin))
            #expect(begun.answer == .done, "\(begun.text)")
            let start = bench.surroundings.clock.date()
            let day: Int64 = 86_400
            try await expectExpiry(60 + Expiry.grace, after: start, "at the beginning")

            bench.moved.setDate(by: day)
            try await expectExpiry(60 + Expiry.grace, after: start + day, "a day forward")
            bench.moved.setDate(by: -2 * day)
            try await expectExpiry(60 + Expiry.grace, after: start - day, "two days back")
            let status = try await bench.ask(GuardRequest(.status)).status
            #expect(status.state == .applied)
            #expect((30...60).contains(status.secondsLeft ?? 0), "\(status.secondsLeft ?? -1) s are left")

            _ = try await bench.ask(GuardRequest(.extend, seconds: 60))
            try await expectExpiry(120 + Expiry.grace, after: start - day, "with more time")

            bench.moved.passTime(milliseconds: 121_000)
            try await serving.value
            #expect(bench.rules.current == earlier)
        }
    }
}
