import Policy

/// How far back a command looks.
package struct SinceOption: Equatable, Sendable {
    /// The number of seconds.
    package let seconds: Int64
    /// As the user wrote it.
    package let text: String

    /// The default: a day.
    package static let standard = SinceOption(seconds: 86_400, text: "24h")
    /// The longest time: ten years.
    private static let longest: Int64 = 3_650 * 86_400

    private init(seconds: Int64, text: String) {
        self.seconds = seconds
        self.text = text
    }

    /// Reads `90s`, `30m`, `1h` or `2d`.
    ///
    /// - Throws: `SinceError`, whose description is a sentence.
    package init(parsing text: String) throws(SinceError) {
        guard let seconds = DurationText.seconds(text, units: "smhd", isUnitNeeded: true).map(Int64.init) else {
            throw .notADuration(text)
        }
        guard (1...Self.longest).contains(seconds) else { throw .outOfRange(text) }
        self.init(seconds: seconds, text: text)
    }
}

/// Why a text is not a time to look back.
package enum SinceError: Error, Equatable, CustomStringConvertible {
    /// It is not a number with a unit.
    case notADuration(String)
    /// It is zero or too long.
    case outOfRange(String)

    package var description: String {
        switch self {
        case .notADuration(let text): "\"\(text)\" is not a duration; write 90s, 30m, 1h or 2d."
        case .outOfRange(let text): "\"\(text)\" is out of range: 1s to 3650d."
        }
    }
}
