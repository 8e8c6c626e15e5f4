import Netfilter

/// The connection from the screen of a pending change to the guard.
package protocol GuardConnection: Sendable {
    /// The current status of the change.
    func status() async -> PendingChangeStatus

    /// Asks the guard to keep the rules.
    func confirm(sameConnection: Bool) async -> PendingChangeReply

    /// Asks the guard to roll back to the previous rules now.
    func revert() async -> PendingChangeReply

    /// Asks the guard to extend the deadline.
    func extend() async -> PendingChangeReply
}

/// The status of a pending change.
package struct PendingChangeStatus: Equatable, Sendable {
    /// A login that is newer than the rules.
    package struct FreshLogin: Equatable, Sendable {
        /// The address it came from, if known.
        package var peer: IPAddress?
        /// What it did not test, for example the other address family.
        package var note: String?

        /// Creates a login.
        package init(peer: IPAddress?, note: String? = nil) {
            self.peer = peer
            self.note = note
        }
    }

    /// The seconds until the rollback.
    package var secondsLeft: Int
    /// The first login that is newer than the rules, if any.
    package var freshLogin: FreshLogin?
    /// How the change ended; nil while it is pending.
    package var outcome: PendingChangeScreen.Ending?

    /// Creates a status.
    package init(secondsLeft: Int, freshLogin: FreshLogin? = nil, outcome: PendingChangeScreen.Ending? = nil) {
        self.secondsLeft = secondsLeft
        self.freshLogin = freshLogin
        self.outcome = outcome
    }
}

/// The guard's reply to a request.
package enum PendingChangeReply: Equatable, Sendable {
    /// The change has ended.
    case ended(PendingChangeScreen.Ending)
    /// The deadline was extended to this many seconds from now.
    case extended(secondsLeft: Int)
    /// The request was refused, for these reasons.
    case refused([String])
}
