import Host

/// A request to the guard: one line of JSON.
package struct GuardRequest: Codable, Sendable, Equatable {
    /// The kinds of request.
    package enum Verb: String, Codable, Sendable, CaseIterable {
        /// Apply the rules now: the client knows that the guard is ready.
        case begin
        /// Report the status.
        case status
        /// Answer when the change has ended.
        case wait
        /// Keep the new rules.
        case confirm
        /// Roll back to the previous rules now.
        case revert
        /// Give more time.
        case extend
    }

    /// The kind of request.
    package var verb: Verb
    /// For `confirm`: keep the rules even over a connection that is older than the change.
    package var sameConnection: Bool?
    /// For `extend`: how many seconds from now; nil for as many as the first deadline.
    package var seconds: Int?

    /// A request.
    package init(_ verb: Verb, sameConnection: Bool? = nil, seconds: Int? = nil) {
        self.verb = verb
        self.sameConnection = sameConnection
        self.seconds = seconds
    }
}

/// The guard's answer.
package struct GuardReply: Codable, Sendable, Equatable {
    /// Whether the request was carried out.
    package enum Answer: String, Codable, Sendable, CaseIterable {
        /// It was; `status` has the result.
        case done
        /// Not confirmed: the request does not come from a new SSH login.
        case notFresh
        /// The change has already ended.
        case tooLate
        /// It cannot be done; the text says why.
        case refused
    }

    /// Whether the request was carried out.
    package var answer: Answer
    /// The message for a person.
    package var text: String
    /// The status after the request.
    package var status: ChangeStatus
}

/// The status of the pending change, or the outcome of the last one.
package struct ChangeStatus: Codable, Sendable, Equatable {
    /// Its ID, which is also its snapshot's.
    package var id: String
    /// Its state.
    package var state: JournalState
    /// Whole seconds until it is rolled back, rounded up; nil if it is not pending.
    package var secondsLeft: Int?
    /// The guard's process ID while there is one.
    package var guardPID: Int32?
    /// What restarts the guard if it dies.
    package var supervisor: SupervisorKind
    /// Which iptables it uses.
    package var backend: Backend
    /// The reason for the outcome.
    package var reason: String
    /// Why it was rolled back.
    package var cause: RevertCause?
    /// Whether a fresh dump was compared with the rules that should be active.
    package var verified: Bool
    /// The files saved to disk for boot.
    package var persisted: [String]
    /// Notes about the kept rules, one sentence each; nil for none.
    package var notes: [String]?
    /// The client address of a new SSH login since the rules became active.
    package var freshLogin: String?
    /// Whether a dump shows that the emergency opening is active; nil if none was needed.
    package var isOpened: Bool?
    /// The kind of gate while the change is pending; otherwise nil.
    package var gate: GateKind?

    /// The reason for the outcome, and the notes.
    package var words: String { ([reason] + (notes ?? [])).joined(separator: " ") }

    /// The state of a journal at an instant.
    package init(_ journal: Journal, now: BootInstant, guardPID: Int32?) {
        id = journal.request.id
        state = journal.state
        if journal.state == .applied, let deadline = journal.deadline {
            secondsLeft = Int(max(0, now.milliseconds(until: deadline) + 999) / 1_000)
            gate = journal.gate
        }
        self.guardPID = guardPID
        supervisor = journal.supervisor
        backend = journal.request.backend
        reason = journal.reason
        cause = journal.cause
        verified = journal.verified
        persisted = journal.persisted
        notes = journal.notes
        freshLogin = journal.freshLogin
        isOpened = journal.isOpened
    }
}
