import Policy

/// The actions that the wizard needs from the calling program: plans, rehearsals, files.
package protocol WizardActions: Sendable {
    /// Returns answers that stand for what the other firewall manager allows, and notes on what they can't say; or the
    /// reasons why it can't.
    func importAnswers() async throws(Refusal) -> (answers: Answers, notes: [String])

    /// Creates the plan and returns its changes, or the reasons why it can't.
    ///
    /// With `takingOver`, other firewall managers go when the change is kept.
    func compose(_ answers: Answers, takingOver: Bool) async throws(Refusal) -> ChangeSummary

    /// Tests the plan with packets.
    func rehearse(_ answers: Answers, takingOver: Bool) async -> RehearsalReport

    /// The plan's rules in the format of iptables-save.
    func rules(_ answers: Answers) async -> [String]

    /// The removed lines (`-`) and the added lines (`+`).
    ///
    /// With `takingOver`, other firewall managers go when the change is kept.
    func difference(_ answers: Answers, takingOver: Bool) async -> [String]

    /// Parses the time that the user has to keep the new rules, in seconds, or returns the reasons why it can't.
    func deadline(_ text: String) async throws(Refusal) -> Int

    /// Saves the answers, to this file if one is given. Returns a confirmation, or the reasons why it can't.
    func save(_ answers: Answers, to path: String?) async throws(Refusal) -> String
}

/// The reasons why a request was refused, as sentences for the user.
package struct Refusal: Error, Equatable, Sendable {
    /// The sentences.
    package let reasons: [String]

    /// Creates a refusal.
    package init(_ reasons: [String]) {
        self.reasons = reasons
    }
}
