import Testing

/// Limits how many of the tests with this trait run at the same time.
///
/// They start many processes and wait for deadlines: all together on two cores, what takes milliseconds would take
/// seconds, and tests would fail for want of a processor.
package struct InTurn: TestTrait, SuiteTrait, TestScoping {
    /// How many run at once.
    private static let gate = Gate(11)

    package let isRecursive = true

    package func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        await Self.gate.enter()
        do {
            try await function()
            await Self.gate.leave()
        } catch {
            await Self.gate.leave()
            throw error
        }
    }
}

extension Trait where Self == InTurn {
    /// Limits how many of the tests with this trait run at the same time.
    package static var inTurn: Self { InTurn() }
}

/// Admits this many at once.
private actor Gate {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ places: Int) { free = places }

    func enter() async {
        if free > 0 { free -= 1 } else { await withCheckedContinuation { waiting.append($0) } }
    }

    func leave() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
