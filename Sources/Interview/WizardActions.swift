import Policy

/// What the wizard needs of the program around it: plans, rehearsals, files.
package protocol WizardActions: Sendable {
    /// Makes the plan and says what it changes; refused with reasons for a person.
    func compose(_ answers: Answers) async throws(Refusal) -> ChangeSummary

    /// Tries the plan with packets.
    func rehearse(_ answers: Answers) async -> RehearsalReport

    /// The plan's rules as the kernel gets them.
    func rules(_ answers: Answers) async -> [String]

    /// What goes (`-`) and what comes (`+`).
    func difference(_ answers: Answers) async -> [String]

    /// Reads how long the new rules shall wait, in seconds; refused with reasons for a person.
    func deadline(_ text: String) async throws(Refusal) -> Int

    /// Saves the answers, to this file if one was named, and says where; refused with reasons for a person.
    func save(_ answers: Answers, to path: String?) async throws(Refusal) -> String
}

/// Why something that was asked for is not done, in sentences for a person.
package struct Refusal: Error, Equatable, Sendable {
    /// The sentences.
    package let reasons: [String]

    /// Makes a refusal.
    package init(_ reasons: [String]) {
        self.reasons = reasons
    }
}
