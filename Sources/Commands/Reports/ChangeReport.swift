import SafeApply

/// What `apply`, `confirm` and `revert` report with `--json`.
package struct ChangeReport: Report, Equatable {
    /// How the change stands or ended.
    package var outcome: ChangeOutcome
    /// The change, or nil when it was refused before it had a name.
    @OrNull package var change: String?
    /// The snapshot to go back to, or nil when none was taken.
    @OrNull package var snapshot: String?
    /// Why it ended so.
    package var reason: String
    /// Whether a fresh dump was compared with what should be in force.
    package var verified: Bool
    /// The files that were written for the next start.
    package var persisted: [String]

    /// A report of given parts.
    package init(
        outcome: ChangeOutcome, change: String?, snapshot: String?, reason: String, verified: Bool,
        persisted: [String] = []
    ) {
        self.outcome = outcome
        self.change = change
        self.snapshot = snapshot
        self.reason = reason
        self.verified = verified
        self.persisted = persisted
    }
}
