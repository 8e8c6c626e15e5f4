import Netfilter
import Policy

/// Holds what the templates rendered against the plan: every planned rule, in order, and nothing else.
struct ComposedCheck {
    let layout: RuleLayout
    let templates: [String: RuleTemplate]

    /// Throws the first difference, with the line of the template that made it.
    func check(_ rendered: RuleSet, text: RenderedText) throws(ComposerError) {
        let expected = layout.tables(rules: [])
        guard Self.outline(rendered.tables) == Self.outline(expected) else {
            let same = zip(Self.outline(rendered.tables), Self.outline(expected)).prefix { $0 == $1 }.count
            let places = text.outlinePlaces
            throw .wrongTables(
                expected: Self.outline(expected).joined(separator: " "),
                found: Self.outline(rendered.tables).joined(separator: " "),
                at: places.indices.contains(same) ? places[same] : places.last ?? self.place(of: .ruleset))
        }
        let rules = rendered.tables.first?.rules ?? []
        // A command other than -A takes no place among the rules; it is found as another spelling.
        let places = text.rulePlaces
        func place(_ index: Int) -> TemplatePlace {
            places.indices.contains(index) ? places[index] : self.place(of: .ruleset)
        }
        try checkRules(rules, place)
        if let stray = rendered.tables.dropFirst().flatMap(\.rules).first {
            throw .unexpectedRule(stray.text, at: place(rules.count))
        }
        try checkCanonical(rendered, text: text)
    }

    /// Where a template writes its rules.
    private func place(of template: PlannedRule.Template) -> TemplatePlace {
        let source = templates[template.rawValue] ?? RuleTemplate(path: template.rawValue, text: "")
        let lines = source.text.split(separator: "\n", omittingEmptySubsequences: false)
        let first = lines.firstIndex { $0.contains("-A ") } ?? 0
        return TemplatePlace(path: source.path, line: first + 1)
    }

    private func checkRules(_ found: [Rule], _ place: (Int) -> TemplatePlace) throws(ComposerError) {
        let planned = layout.rules
        for (index, plan) in planned.enumerated() {
            guard index < found.count else {
                throw .missingRule(plan.rule.text, at: self.place(of: plan.template))
            }
            let rule = found[index]
            if plan.isFulfilled(by: rule) { continue }
            let isElsewhere = found.contains { plan.isFulfilled(by: $0) }
            let isPlanned = planned.contains { $0.isFulfilled(by: rule) }
            switch (isElsewhere, isPlanned) {
            case (false, true): throw .missingRule(plan.rule.text, at: self.place(of: plan.template))
            case (true, true): throw .wrongOrder(rule.text, at: place(index))
            case (_, false): throw .unexpectedRule(rule.text, at: place(index))
            }
        }
        if found.count > planned.count {
            throw .unexpectedRule(found[planned.count].text, at: place(planned.count))
        }
    }

    /// The same text must come back from the kernel: no comments, blank lines, commands or other spellings.
    private func checkCanonical(_ rendered: RuleSet, text: RenderedText) throws(ComposerError) {
        let canonical = RuleSet(tables: rendered.tables.map { Table($0.name, chains: $0.chains, rules: $0.rules) }).text
        guard canonical != text.text else { return }
        let wanted = canonical.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let same = zip(text.lines, wanted).prefix { $0 == $1 }.count
        throw .notCanonical(
            same < text.lines.count ? text.lines[same] : "", canonical: same < wanted.count ? wanted[same] : "",
            at: same < text.places.count ? text.places[same] : place(of: .ruleset))
    }

    /// `*filter`, `:INPUT DROP [0:0]`, for each table.
    private static func outline(_ tables: [Table]) -> [String] {
        tables.flatMap { table in ["*\(table.name)"] + table.chains.map(\.text) }
    }
}
