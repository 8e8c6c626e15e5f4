import ArgumentParser
import Policy
import SafeApply

/// How long a temporary entry lasts.
package struct EntryDuration: Equatable, Sendable {
    /// Seconds from now.
    package let seconds: Int

    /// Reads `45`, `45s`, `90m`, `2h` or `1d`.
    ///
    /// - Throws: `EntryDurationError`, whose description is a sentence.
    package init(parsing text: String) throws(EntryDurationError) {
        guard let seconds = DurationText.seconds(text, units: "smhd") else { throw .notADuration(text) }
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
