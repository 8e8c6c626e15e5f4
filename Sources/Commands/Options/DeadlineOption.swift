import Policy
import SafeApply

/// How long a change waits for confirmation before it is rolled back.
package struct DeadlineOption: Equatable, Sendable {
    /// Seconds from the moment the new rules become active.
    package let seconds: Int

    /// The default: long enough to log in again, short enough to wait for.
    package static let standard = DeadlineOption(unchecked: Deadline.usual)
    /// At least ten seconds, to be able to log in; at most an hour, so that a forgotten change rolls back.
    package static let limits = Deadline.shortest...Deadline.longest

    /// Creates a deadline; nil if the number of seconds is out of range.
    package init?(seconds: Int) {
        guard Self.limits.contains(seconds) else { return nil }
        self.seconds = seconds
    }

    private init(unchecked seconds: Int) { self.seconds = seconds }

    /// Reads `45`, `45s`, `5m` or `1h`.
    ///
    /// - Throws: `DeadlineError`, whose description is a sentence.
    package init(parsing text: String) throws(DeadlineError) {
        guard let seconds = DurationText.seconds(text, units: "smh") else { throw .notADuration(text) }
        guard Self.limits.contains(seconds) else { throw .outOfRange(text) }
        self.seconds = seconds
    }
}

/// Why a text is not a deadline.
package enum DeadlineError: Error, Equatable, CustomStringConvertible {
    /// It is not a number with an optional unit.
    case notADuration(String)
    /// It is too short or too long.
    case outOfRange(String)

    package var description: String {
        switch self {
        case .notADuration(let text): "\"\(text)\" is not a duration; write 45, 45s or 5m."
        case .outOfRange(let text): "\"\(text)\" is out of range: 10s to 1h."
        }
    }
}
