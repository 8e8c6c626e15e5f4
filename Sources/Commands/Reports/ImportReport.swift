import Import

/// What `import` reports with `--json`.
package struct ImportReport: Report, Equatable {
    /// A rule that the answers say.
    package struct Imported: Equatable, Codable, Sendable {
        /// The rule, as its program writes it.
        package var rule: String
        /// The answers that say the same.
        package var answer: String
    }

    /// A rule that the answers cannot say.
    package struct Omitted: Equatable, Codable, Sendable {
        /// The rule, as its program writes it.
        package var rule: String
        /// Why.
        package var reason: String
        /// How it will be.
        package var effect: String
    }

    /// A packet that the active rules and the answers treat differently.
    package struct Difference: Equatable, Codable, Sendable {
        /// Where it comes from.
        package var from: String
        /// What was sent: `443/udp`, `ping`.
        package var packet: String
        /// `accept` or `drop`: the active rules.
        package var before: String
        /// `accept` or `drop`: the answers.
        package var after: String
    }

    /// The answers file.
    package var answers: String
    /// The rules that the answers say.
    package var imported: [Imported]
    /// The rules that they cannot say.
    package var omitted: [Omitted]
    /// Further sentences.
    package var notes: [String]
    /// The packets that are treated differently; null if they were not compared.
    @OrNull package var differences: [Difference]?
}

extension ImportReport {
    /// The report of an import.
    init(_ yaml: String, _ result: ImportResult, _ comparison: ImportComparison?) {
        self.init(
            answers: yaml, imported: result.imported.map { Imported(rule: $0.rule, answer: $0.answer) },
            omitted: result.omitted.map { Omitted(rule: $0.rule, reason: $0.reason, effect: $0.effect) },
            notes: result.notes, differences: comparison?.differences)
    }
}
