import Netfilter

/// What the change screen needs of the program around it: word from the guard, and to it.
package protocol GuardConnection: Sendable {
    /// How the change stands at this moment.
    func status() async -> PendingChangeStatus

    /// Asks the guard to keep the rules.
    func confirm(sameConnection: Bool) async -> PendingChangeReply

    /// Asks the guard to put the earlier rules back now.
    func revert() async -> PendingChangeReply

    /// Asks the guard to wait longer.
    func extend() async -> PendingChangeReply
}

/// How a pending change stands.
package struct PendingChangeStatus: Equatable, Sendable {
    /// A login that is newer than the rules.
    package struct FreshLogin: Equatable, Sendable {
        /// The address it came from, where it is known.
        package var peer: IPAddress?
        /// What is left unproven by it, such as the other family.
        package var note: String?

        /// Makes a login.
        package init(peer: IPAddress?, note: String? = nil) {
            self.peer = peer
            self.note = note
        }
    }

    /// The seconds until the earlier rules return.
    package var secondsLeft: Int
    /// The first login that is newer than the rules, if there was one.
    package var freshLogin: FreshLogin?
    /// How the change ended, once it has.
    package var outcome: PendingChangeScreen.Ending?

    /// Makes a status.
    package init(secondsLeft: Int, freshLogin: FreshLogin? = nil, outcome: PendingChangeScreen.Ending? = nil) {
        self.secondsLeft = secondsLeft
        self.freshLogin = freshLogin
        self.outcome = outcome
    }
}

/// What the guard answered to a request.
package enum PendingChangeReply: Equatable, Sendable {
    /// The change has ended.
    case ended(PendingChangeScreen.Ending)
    /// The deadline is this far away now.
    case extended(secondsLeft: Int)
    /// Not done, and why.
    case refused([String])
}
