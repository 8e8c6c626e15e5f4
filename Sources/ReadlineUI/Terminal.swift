import Glibc
import Interview

/// What standard input and standard error are, and the prompter that suits them.
package enum Terminal {
    /// What is said (64) where nobody can be asked.
    package static let needed = [
        "latchkey asks questions and needs a terminal;",
        "for scripts: latchkey apply --answers FILE",
    ]

    /// The prompter for this process; nil where standard input is neither a terminal nor a pipe or file.
    ///
    /// Call it once: two prompters would steal each other's input.
    /// - Parameters:
    ///   - environment: the variables `TERM`, `NO_COLOR` and `LATCHKEY_PLAIN`.
    ///   - isPlain: whether nothing is to be edited, coloured or redrawn, for screen readers.
    /// - Returns: the prompter.
    package static func prompter(environment: [String: String], isPlain: Bool = false) -> (any Prompter)? {
        let talks = isatty(Talk.descriptor) == 1
        let isPlain = isPlain || !(environment["LATCHKEY_PLAIN"] ?? "").isEmpty
        let style = Style(isTerminal: talks && !isPlain, environment: environment)
        if isInteractive {
            if talks, !isPlain, !Style.isDumb(environment["TERM"]) { return ReadlinePrompter(style: style) }
            return PlainPrompter(echoes: false, style: style)
        }
        return canBeRead(STDIN_FILENO) ? PlainPrompter(echoes: true, style: style) : nil
    }

    /// The width of the screen that both results and talk go to; 80 where either goes elsewhere.
    package static var columns: Int { isatty(STDOUT_FILENO) == 1 ? Talk.columns : 80 }

    /// Whether a person is at standard input.
    package static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 }

    /// Whether a descriptor is a pipe, a socket or a file; a device such as /dev/null answers no question.
    private static func canBeRead(_ descriptor: Int32) -> Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return false }
        return [S_IFIFO, S_IFSOCK, S_IFREG].contains(status.st_mode & S_IFMT)
    }
}
