import Host

/// The state of a change.
///
/// Each state is written and synced before the step that it names.
package enum JournalState: String, Codable, Sendable, CaseIterable {
    /// A guard owns the change; nothing has been changed.
    case prepared
    /// The snapshot is saved; from here on the new rules may be active, completely or in part.
    case armed
    /// The new rules are active and wait for confirmation.
    case applied
    /// Confirmed; to be saved to disk.
    case kept
    /// Confirmed and saved to disk, or nothing to save.
    case persisted
    /// The rollback is running.
    case reverting
    /// The previous rules are active again (verified), or nothing was changed.
    case reverted
    /// The previous rules could not be restored; the emergency opening is active.
    case failed

    /// Whether the change has ended, so that another may begin.
    package var isFinal: Bool { self == .persisted || self == .reverted || self == .failed }
}

/// Why a change was rolled back.
package enum RevertCause: String, Codable, Sendable, CaseIterable {
    /// It was not confirmed in time.
    case deadline
    /// A rollback was requested.
    case request
    /// A step failed.
    case trouble
}

/// The record of the pending change, and afterwards of how the last one ended; a reboot clears it.
package struct Journal: Codable, Sendable, Equatable {
    /// The state of the change.
    package var state: JournalState
    /// The boot it belongs to: a journal of another boot describes rules that no longer exist.
    package var bootID: String
    /// What restarts the guard if it dies.
    package var supervisor: SupervisorKind
    /// The request.
    package var request: ChangeRequest
    /// When the new rules became active.
    package var appliedAt: BootInstant?
    /// From when on a login counts as new: sshd has accepted all earlier connections by then.
    ///
    /// Nil while an earlier connection may still wait.
    package var freshSince: BootInstant?
    /// When the change is rolled back unless confirmed.
    package var deadline: BootInstant?
    /// The kind of the trial's gates; nil while there is no trial.
    package var gate: GateKind?
    /// How often another guard took over the pending change; nil for never.
    package var restarts: Int?
    /// Whether permanent rules may have been made, completely or in part.
    package var isHalfKept: Bool?
    /// Whether other firewall managers may have been stopped, completely or in part.
    package var areManagersStopped: Bool?
    /// The reason for the outcome, for people.
    package var reason: String
    /// Why it is being rolled back, or was.
    package var cause: RevertCause?
    /// Whether a fresh dump was compared with the rules that should be active.
    package var verified: Bool
    /// Whether a dump has shown that the emergency opening is active; nil if none was needed.
    package var isOpened: Bool?
    /// The files that were saved to disk for boot.
    package var persisted: [String]
    /// Notes about the kept rules, one sentence each; nil for none.
    package var notes: [String]?
    /// The client address of a new SSH login since the new rules became active; nil for none.
    package var freshLogin: String?

    /// The journal of a change that begins.
    package init(request: ChangeRequest, bootID: String, supervisor: SupervisorKind) {
        state = .prepared
        self.bootID = bootID
        self.supervisor = supervisor
        self.request = request
        reason = ""
        verified = false
        persisted = []
    }
}

/// The journal's file.
package struct JournalFile: Sendable {
    private let path: String

    /// The journal of a layout.
    package init(layout: Layout) { path = layout.journal }

    /// The journal, or nil if no change began since boot.
    ///
    /// - Throws: `ChangeError.damaged` if it is not a journal, `host` if it cannot be read.
    package func read() throws(ChangeError) -> Journal? {
        guard SecureFiles.exists(path) else { return nil }
        let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(path) }
        guard let journal = JSONText.decode(Journal.self, from: bytes) else {
            throw .damaged(path: path, reason: "it is not a journal from this version of latchkey")
        }
        return journal
    }

    /// Replaces the journal, synced.
    ///
    /// - Throws: `host` when it cannot be written.
    package func write(_ journal: Journal) throws(ChangeError) {
        let text = JSONText.encode(journal)
        try ChangeError.wrap { () throws(HostError) in try SecureFiles.write(Array(text.utf8), to: path) }
    }
}
