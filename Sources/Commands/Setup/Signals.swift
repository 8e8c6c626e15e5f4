import Glibc

/// What this process does when signals arrive.
enum Signals {
    /// As a program started from a shell finds them; `latchkey try` ignores some, and children inherit that.
    static func reset() {
        for number in [SIGINT, SIGQUIT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) }
    }

    /// Leaves the keys of the terminal to the program in front.
    static func leaveKeysToChild() {
        for number in [SIGINT, SIGQUIT] { signal(number, SIG_IGN) }
    }
}
