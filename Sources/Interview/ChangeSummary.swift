/// The changes that a plan would make.
///
/// The calling program counts and describes them.
package struct ChangeSummary: Equatable, Sendable {
    /// The number of rules that are removed.
    package var rulesRemoved: Int
    /// The number of rules that are added.
    package var rulesAdded: Int
    /// Rules that belong to no known program and would be removed, in the format of iptables-save.
    package var replacedRules: [String]
    /// More sentences for the review.
    package var notes: [String]
    /// Why the plan can't be applied, if it can't.
    ///
    /// The rest of the review still works.
    package var obstacle: String?

    /// Creates a summary.
    package init(
        rulesRemoved: Int, rulesAdded: Int, replacedRules: [String] = [], notes: [String] = [],
        obstacle: String? = nil
    ) {
        self.rulesRemoved = rulesRemoved
        self.rulesAdded = rulesAdded
        self.replacedRules = replacedRules
        self.notes = notes
        self.obstacle = obstacle
    }
}
