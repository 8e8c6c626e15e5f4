import Host

/// How far a change has come.
///
/// Each step is written and synced before it acts.
package enum JournalState: String, Codable, Sendable, CaseIterable {
    /// A guard has taken the change on; nothing has been touched.
    case prepared
    /// The snapshot is safe; the new rules may be in force, wholly or in part, from here on.
    case armed
    /// The new rules are in force and wait to be confirmed.
    case applied
    /// Confirmed; to be saved for the next start.
    case kept
    /// Confirmed and saved, or nothing to save.
    case persisted
    /// The earlier rules are being put back.
    case reverting
    /// The earlier rules are back, and verified; or nothing was touched.
    case reverted
    /// The earlier rules could not be put back; the emergency opening is in force.
    case failed

    /// Whether the change has ended, so that another may begin.
    package var isFinal: Bool { self == .persisted || self == .reverted || self == .failed }
}

/// Why a change was reverted.
package enum RevertCause: String, Codable, Sendable, CaseIterable {
    /// Nobody confirmed it in time.
    case deadline
    /// Somebody asked for it.
    case request
    /// Something went wrong.
    case trouble
}

/// The record of the pending change, and afterwards of how the last one ended; a reboot clears it.
package struct Journal: Codable, Sendable, Equatable {
    /// How far the change has come.
    package var state: JournalState
    /// The boot it belongs to: a journal of another boot speaks of rules that are gone.
    package var bootID: String
    /// What starts the guard again when it dies.
    package var supervisor: SupervisorKind
    /// What was asked for.
    package var request: ChangeRequest
    /// When the new rules were in force.
    package var appliedAt: BootInstant?
    /// Since when a login is new: what began under the earlier rules has all been accepted by then.
    ///
    /// Nil while some of it may still wait.
    package var freshSince: BootInstant?
    /// When they are reverted unless confirmed.
    package var deadline: BootInstant?
    /// What the gates of the trial rest on; nil while there is no trial.
    package var gate: GateKind?
    /// How often a guard took up a change that was pending already; nil for never.
    package var restarts: Int?
    /// Whether permanent rules may have been made, wholly or in part.
    package var isHalfKept: Bool?
    /// Why the change ended as it did, for people.
    package var reason: String
    /// Why it is being reverted, or was.
    package var cause: RevertCause?
    /// Whether what is said to be in force was compared with a fresh dump.
    package var verified: Bool
    /// Whether a dump has shown the emergency opening in force; nil where none was needed.
    package var isOpened: Bool?
    /// The files that were saved for the next start.
    package var persisted: [String]
    /// What a person should know of what was kept, a sentence each; nil for nothing.
    package var notes: [String]?
    /// Whether a new SSH login was seen since the new rules were in force, and from where.
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

/// Where the journal lies.
package struct JournalFile: Sendable {
    private let path: String

    /// The journal of a layout.
    package init(layout: Layout) { path = layout.journal }

    /// The journal, or nil where no change began since the boot.
    ///
    /// - Throws: `ChangeError.damaged` when it cannot be read as one, `host` when it cannot be read at all.
    package func read() throws(ChangeError) -> Journal? {
        guard SecureFiles.exists(path) else { return nil }
        let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(path) }
        guard let journal = JSONText.decode(Journal.self, from: bytes) else {
            throw .damaged(path: path, reason: "it is not a journal of this version of latchkey")
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
