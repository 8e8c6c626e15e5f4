/// What `apply`, `confirm` and `revert` report with `--json`.
package struct ChangeReport: Report, Equatable {
    /// How a change stands or ended.
    package enum Outcome: String, CaseIterable, Codable, Sendable {
        case pending, kept, reverted, refused, failed
    }

    /// How the change stands or ended.
    package var outcome: Outcome
    /// The change, or nil when it was refused before it had a name.
    package var change: String?
    /// The snapshot to go back to, or nil when none was taken.
    package var snapshot: String?
    /// Why it ended so.
    package var reason: String
    /// Whether a fresh dump was compared with what should be in force.
    package var verified: Bool
    /// The files that were written for the next start.
    package var persisted: [String]

    /// A report of given parts.
    package init(
        outcome: Outcome, change: String?, snapshot: String?, reason: String, verified: Bool, persisted: [String] = []
    ) {
        self.outcome = outcome
        self.change = change
        self.snapshot = snapshot
        self.reason = reason
        self.verified = verified
        self.persisted = persisted
    }

    private enum CodingKeys: String, CodingKey {
        case outcome, change, snapshot, reason, verified, persisted
    }

    // Written by hand: what Swift derives leaves out a nil, and a reader wants to find the key with null.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(outcome, forKey: .outcome)
        try container.encode(change, forKey: .change)
        try container.encode(snapshot, forKey: .snapshot)
        try container.encode(reason, forKey: .reason)
        try container.encode(verified, forKey: .verified)
        try container.encode(persisted, forKey: .persisted)
    }
}
