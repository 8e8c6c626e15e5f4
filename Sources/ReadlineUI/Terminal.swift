import Glibc
import Interview

/// Detects what standard input and standard error are, and selects the matching prompter.
package enum Terminal {
    /// The error message (exit code 64) if there is neither a terminal nor a pipe.
    package static let needed = [
        "The wizard asks questions and needs a terminal.",
        "For scripts, use: latchkey apply --answers FILE",
    ]

    /// The prompter for this process; nil if standard input is neither a terminal nor a pipe or file.
    ///
    /// Call this only once. Two prompters would take each other's input.
    /// - Parameters:
    ///   - environment: The variables `TERM`, `NO_COLOR` and `LATCHKEY_PLAIN`.
    ///   - isPlain: Whether to turn off line editing, colour and redrawing, for screen readers.
    /// - Returns: The prompter.
    package static func prompter(environment: [String: String], isPlain: Bool = false) -> (any Prompter)? {
        let writesToTerminal = isatty(StandardError.descriptor) == 1
        let isPlain = isPlain || !(environment["LATCHKEY_PLAIN"] ?? "").isEmpty
        let style = Style(isTerminal: writesToTerminal && !isPlain, environment: environment)
        if isInteractive {
            if writesToTerminal, !isPlain, !Style.isDumb(environment["TERM"]) { return ReadlinePrompter(style: style) }
            return PlainPrompter(echoes: false, style: style)
        }
        return canBeRead(STDIN_FILENO) ? PlainPrompter(echoes: true, style: style) : nil
    }

    /// The width of the terminal on standard output and standard error; 80 if there is none.
    package static var columns: Int { isatty(STDOUT_FILENO) == 1 ? StandardError.columns : 80 }

    /// Whether standard input is a terminal.
    package static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 }

    /// Whether a descriptor is a pipe, a socket or a file.
    ///
    /// Devices such as /dev/null don't count.
    private static func canBeRead(_ descriptor: Int32) -> Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return false }
        return [S_IFIFO, S_IFSOCK, S_IFREG].contains(status.st_mode & S_IFMT)
    }
}
