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
        let factors: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        let digits = text.dropLast()
        // Only ASCII digits: Int() would also accept a sign.
        guard let factor = text.last.flatMap({ factors[$0] }), (1...9).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int64(digits)
        else { throw .notADuration(text) }
        let seconds = number * factor
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
