import ArgumentParser
import SafeApply

/// How long a temporary entry lasts.
package struct EntryDuration: Equatable, Sendable {
    /// Seconds from now.
    package let seconds: Int

    /// Reads `45`, `45s`, `90m`, `2h` or `1d`.
    ///
    /// - Throws: `EntryDurationError`, whose description is a sentence.
    package init(parsing text: String) throws(EntryDurationError) {
        let factors: [Character: Int] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        let factor = text.last.flatMap { factors[$0] }
        let digits = factor == nil ? text[...] : text.dropLast()
        // Only ASCII digits: Int() would also accept a sign.
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), digits.utf8.count <= 9,
            let number = Int(digits)
        else { throw .notADuration(text) }
        let seconds = number * (factor ?? 1)
        guard (1...TemporaryEntry.longest).contains(seconds) else { throw .outOfRange(text) }
        self.seconds = seconds
    }
}

/// Why a text is not the duration of a temporary entry.
package enum EntryDurationError: Error, Equatable, CustomStringConvertible {
    /// It is not a number with an optional unit.
    case notADuration(String)
    /// It is too short or too long.
    case outOfRange(String)

    package var description: String {
        switch self {
        case .notADuration(let text): "\"\(text)\" is not a duration; write 45s, 90m, 2h or 1d."
        case .outOfRange(let text):
            "\"\(text)\" is out of range: 1s to 24d, because the kernel counts no longer. Omit --for to make it last "
                + "until reboot."
        }
    }
}

/// How long a temporary entry lasts, on the command line.
package struct EntryDurationOptions: ParsableArguments {
    @Option(
        name: .customLong("for"),
        help: ArgumentHelp(
            "The kernel ends it after DURATION: 45s, 90m, 2h, 1d; up to 24d (default: until reboot).",
            valueName: "duration"),
        transform: { text in try EntryDuration(parsing: text) })
    package var duration: EntryDuration?

    package init() {}
}
