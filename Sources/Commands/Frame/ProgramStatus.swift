/// latchkey's exit statuses; the numbers are part of the interface.
package enum ProgramStatus: Int32, CaseIterable, Sendable {
    /// Done; for a change: kept, or pending with `--detach`.
    case done = 0
    /// Failed; the message says which rules are active now.
    case failed = 1
    /// The change was rolled back, and the previous rules are active again (verified).
    case reverted = 3
    /// Refused before anything changed: the plan would lock out the present SSH connection.
    case refused = 4
    /// Refused: another change is pending.
    case changePending = 5
    /// Nothing is pending.
    case nothingPending = 6
    /// Not confirmed: this SSH connection is older than the change.
    case notConfirmed = 7
    /// The previous rules could not be restored; the emergency opening is active.
    case emergencyOpening = 8
    /// A bad command line (EX_USAGE, sysexits.h).
    case usage = 64
    /// Bad data: an answers file, template or snapshot (EX_DATAERR).
    case badData = 65
    /// A tool or kernel feature is missing (EX_UNAVAILABLE).
    case missing = 69
    /// Needs root (EX_NOPERM).
    case needsRoot = 77
    /// Quit by the user before anything changed (128 plus the number of SIGINT, as in shells).
    case quit = 130
}
