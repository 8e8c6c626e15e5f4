import Netfilter
import Policy

/// Holds what the templates rendered against the plan: every planned rule, in order, and nothing else.
struct ComposedCheck {
    let layout: RuleLayout

    /// Throws the first difference.
    func check(_ rendered: RuleSet, text: String) throws(ComposerError) {
        let expected = layout.tables(rules: [])
        guard Self.outline(rendered.tables) == Self.outline(expected) else {
            throw .wrongTables(expected: Self.outline(expected), found: Self.outline(rendered.tables))
        }
        try checkRules(rendered.tables.first?.rules ?? [])
        if let stray = rendered.tables.dropFirst().flatMap(\.rules).first {
            throw .unexpectedRule(stray.text, template: PlannedRule.Template.ruleset.rawValue)
        }
        try checkCanonical(rendered, text: text)
    }

    private func checkRules(_ found: [Rule]) throws(ComposerError) {
        let planned = layout.rules
        for (index, plan) in planned.enumerated() {
            guard index < found.count else {
                throw .missingRule(plan.rule.text, template: plan.template.rawValue)
            }
            let rule = found[index]
            if plan.isFulfilled(by: rule) { continue }
            let isElsewhere = found.contains { plan.isFulfilled(by: $0) }
            let isPlanned = planned.contains { $0.isFulfilled(by: rule) }
            switch (isElsewhere, isPlanned) {
            case (false, true): throw .missingRule(plan.rule.text, template: plan.template.rawValue)
            case (true, true): throw .wrongOrder(rule.text, template: plan.template.rawValue)
            case (_, false): throw .unexpectedRule(rule.text, template: plan.template.rawValue)
            }
        }
        if found.count > planned.count {
            let last = planned.last?.template ?? .ruleset
            throw .unexpectedRule(found[planned.count].text, template: last.rawValue)
        }
    }

    /// The same text must come back from the kernel: no comments, blank lines, commands or other spellings.
    private func checkCanonical(_ rendered: RuleSet, text: String) throws(ComposerError) {
        let canonical = RuleSet(tables: rendered.tables.map { Table($0.name, chains: $0.chains, rules: $0.rules) }).text
        guard canonical != text else { return }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let wanted = canonical.split(separator: "\n", omittingEmptySubsequences: false)
        let place = zip(lines, wanted).prefix { $0 == $1 }.count
        throw .notCanonical(
            place < lines.count ? String(lines[place]) : "",
            canonical: place < wanted.count ? String(wanted[place]) : "")
    }

    /// `*filter :INPUT DROP [0:0]`, for each table.
    private static func outline(_ tables: [Table]) -> String {
        tables.map { table in
            (["*\(table.name)"] + table.chains.map(\.text)).joined(separator: " ")
        }.joined(separator: " ")
    }
}
