import Glibc

/// How this process handles signals.
enum Signals {
    /// Resets signals to their defaults.
    ///
    /// `latchkey try` ignores some, and child processes inherit that.
    static func reset() {
        for number in [SIGINT, SIGQUIT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) }
    }

    /// Ignores the signals of terminal keys, so that only the foreground program handles them.
    static func leaveKeysToChild() {
        for number in [SIGINT, SIGQUIT] { signal(number, SIG_IGN) }
    }
}
