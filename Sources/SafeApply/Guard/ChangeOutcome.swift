/// The state or outcome of a change, in the words that all reports use.
package enum ChangeOutcome: String, CaseIterable, Codable, Sendable {
    /// It has not ended: the new rules are being loaded, wait to be confirmed, or are being rolled back.
    case pending
    /// Confirmed.
    case kept
    /// Rolled back: the previous rules are active, and verified; or nothing was touched.
    case reverted
    /// It never began, or was not confirmed.
    case refused
    /// The previous rules could not be restored.
    case failed
    /// A reboot interrupted it; the machine booted with the saved rules.
    case interrupted

    /// The outcome for a state of the journal.
    package init(_ state: JournalState) {
        self =
            switch state {
            case .prepared, .armed, .applied, .reverting: .pending
            case .kept, .persisted: .kept
            case .reverted: .reverted
            case .failed: .failed
            }
    }
}

extension ChangeStatus {
    /// The state or outcome of the change.
    package var outcome: ChangeOutcome { ChangeOutcome(state) }
}
