import Host

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
    /// True if it removes latchkey's firewall; otherwise nil.
    package var isOff: Bool?

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
        isOff = journal.request.scope == .removal ? true : nil
    }
}
