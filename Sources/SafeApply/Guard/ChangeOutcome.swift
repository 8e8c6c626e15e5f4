/// How a change stands or ended, in the words that every report uses.
package enum ChangeOutcome: String, CaseIterable, Codable, Sendable {
    /// It has not ended: the new rules are being loaded, wait to be confirmed, or are being rolled back.
    case pending
    /// Confirmed.
    case kept
    /// Rolled back: the previous rules are active, and verified; or nothing was touched.
    case reverted
    /// It never began, or was not confirmed.
    case refused
    /// The previous rules could not be put back.
    case failed
    /// The machine stopped in the middle of it, and booted with the rules that were saved.
    case interrupted

    /// The outcome of a change whose journal stands like this.
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
    /// How the change stands or ended.
    package var outcome: ChangeOutcome { ChangeOutcome(state) }
}
