import Glibc

/// Tests with so many cases that a person would not wait for all of them.
package enum Sampled {
    /// Whether all cases run: with LATCHKEY_REQUIRE_KERNEL=1 in the environment.
    package static let isComplete = getenv("LATCHKEY_REQUIRE_KERNEL").map { String(cString: $0) } == "1"

    /// The cases to run: all of them if `isComplete`, otherwise the first of every few.
    ///
    /// - Parameters:
    ///   - cases: all cases.
    ///   - step: how many there are for each one that always runs.
    /// - Returns: the cases, in their order.
    package static func cases<Case>(_ cases: [Case], oneOf step: Int = 4) -> [Case] {
        isComplete ? cases : stride(from: 0, to: cases.count, by: step).map { cases[$0] }
    }
}
