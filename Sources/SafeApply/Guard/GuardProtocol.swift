import Host

/// What one may ask of the guard, a line of JSON each.
package struct GuardRequest: Codable, Sendable, Equatable {
    /// The kinds of request.
    package enum Verb: String, Codable, Sendable, CaseIterable {
        /// Apply the rules now: whoever started the guard has heard that it is ready.
        case begin
        /// How things stand.
        case status
        /// Answer when the change has ended.
        case wait
        /// Keep the new rules.
        case confirm
        /// Put the earlier rules back now.
        case revert
        /// Give more time.
        case extend
    }

    /// What is asked.
    package var verb: Verb
    /// For `confirm`: keep the rules though the connection proves nothing.
    package var sameConnection: Bool?
    /// For `extend`: how many seconds from now; nil for as many as the change had at first.
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
        /// It was, or `status` tells how things stand.
        case done
        /// Not confirmed: the connection proves nothing.
        case notFresh
        /// The change has ended already.
        case tooLate
        /// It cannot be done; the text says why.
        case refused
    }

    /// Whether the request was carried out.
    package var answer: Answer
    /// What to tell a person.
    package var text: String
    /// How things stand after it.
    package var status: ChangeStatus
}

/// How the pending change stands, or how the last one ended.
package struct ChangeStatus: Codable, Sendable, Equatable {
    /// Its name, and its snapshot's.
    package var id: String
    /// How far it has come.
    package var state: JournalState
    /// Whole seconds until it is reverted, rounded up; nil when it is not waiting.
    package var secondsLeft: Int?
    /// The guard's process number while there is one.
    package var guardPID: Int32?
    /// What starts that guard again when it dies.
    package var supervisor: SupervisorKind
    /// Which iptables it works with.
    package var backend: Backend
    /// Why it ended as it did.
    package var reason: String
    /// Why it was reverted.
    package var cause: RevertCause?
    /// Whether what is said to be in force was compared with a fresh dump.
    package var verified: Bool
    /// The files saved for the next start.
    package var persisted: [String]
    /// What a person should know of what was kept, a sentence each; nil for nothing.
    package var notes: [String]?
    /// The address of a new SSH login since the rules were in force.
    package var freshLogin: String?
    /// Whether the emergency opening is in force, by a dump; nil where none was needed.
    package var isOpened: Bool?
    /// What the gates rest on while the change is pending; nil when none is.
    package var gate: GateKind?

    /// Why it ended as it did, and what a person should know of it.
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
