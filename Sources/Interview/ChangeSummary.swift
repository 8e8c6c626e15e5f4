/// What a plan would change; counted and worded by the program around the wizard.
package struct ChangeSummary: Equatable, Sendable {
    /// How many rules go.
    package var rulesRemoved: Int
    /// How many rules come.
    package var rulesAdded: Int
    /// Rules that belong to nobody and would be replaced, as iptables-save prints them.
    package var replacedRules: [String]
    /// Further sentences for the review.
    package var notes: [String]
    /// Why the plan cannot be applied at all, where it cannot; the rest of the review still works.
    package var obstacle: String?

    /// Makes a summary.
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
