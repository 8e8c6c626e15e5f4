import Policy

/// The actions that the wizard needs from the calling program: plans, rehearsals, files.
package protocol WizardActions: Sendable {
    /// Creates the plan and returns its changes, or the reasons why it can't.
    func compose(_ answers: Answers) async throws(Refusal) -> ChangeSummary

    /// Tests the plan with packets.
    func rehearse(_ answers: Answers) async -> RehearsalReport

    /// The plan's rules in the format of iptables-save.
    func rules(_ answers: Answers) async -> [String]

    /// The removed lines (`-`) and the added lines (`+`).
    func difference(_ answers: Answers) async -> [String]

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
