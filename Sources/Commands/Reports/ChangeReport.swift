import SafeApply

/// What `apply`, `confirm` and `revert` report with `--json`.
package struct ChangeReport: Report, Equatable {
    /// The state or outcome of the change.
    package var outcome: ChangeOutcome
    /// The change; nil if it was refused before it had an ID.
    @OrNull package var change: String?
    /// The snapshot of the previous rules; nil if none was taken.
    @OrNull package var snapshot: String?
    /// The reason for the outcome.
    package var reason: String
    /// Whether a fresh dump was compared with the rules that should be active.
    package var verified: Bool
    /// The files saved to disk for boot.
    package var persisted: [String]

    /// Creates a report; see the properties.
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
