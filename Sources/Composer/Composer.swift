import Netfilter
import Policy
import Templates

/// Makes a rule set of a plan: fills in the rule templates, and believes nothing of what comes out.
///
/// An administrator's own templates may hold any mistake, so the text is held against the plan, line by line.
package struct Composer: Sendable {
    private let templates: [String: RuleTemplate]
    private let parsed: [String: (path: String, parts: [RuleTemplatePart])]

    /// A composer with the built-in rule templates, and the administrator's over them.
    ///
    /// - Parameter ruleTemplates: by the template's name, `log` for `log.mustache`.
    /// - Throws: every mistake in the templates by themselves.
    package init(ruleTemplates: [String: RuleTemplate] = [:]) throws(ComposerError) {
        let builtIn = Templates.rules.map {
            ($0.name.withoutExtension, RuleTemplate(builtIn: $0.name, text: $0.text))
        }
        let known = builtIn.map(\.0).sorted()
        var mistakes = ruleTemplates.filter { !known.contains($0.key) }.map {
            ComposerError.unknownTemplate($0.value.path, known: known)
        }
        let templates = Dictionary(uniqueKeysWithValues: builtIn).merging(ruleTemplates) { $1 }
        var parsed: [String: (path: String, parts: [RuleTemplatePart])] = [:]
        for (name, template) in templates.sorted(by: { $0.key < $1.key }) where known.contains(name) {
            do {
                parsed[name] = (template.path, try RuleTemplateParser.parse(template, named: name))
            } catch {
                mistakes.append(error)
            }
        }
        if let error = ComposerError.together(mistakes) { throw error }
        self.parsed = parsed
        self.templates = templates
    }

    /// The plan as the rule set of one family, in iptables-save's own form.
    ///
    /// - Parameters:
    ///   - plan: what may come in.
    ///   - family: the family whose rules are wanted.
    /// - Returns: with `existing: keep` a filter table with INPUT only, whose last rule drops; with `replace` filter and
    ///   nat, where the policy of INPUT drops.
    /// - Throws: everything that the rule templates made and that is not the plan.
    package func compose(_ plan: Plan, family: Family) throws(ComposerError) -> RuleSet {
        let layout = RuleLayout(plan, family)
        let values = layout.templateValues
        try Self.checkValues(values)
        let name = PlannedRule.Template.ruleset.rawValue
        let text = RenderedText(rendering: name, of: parsed, with: values)
        let mistakes = ComposedCheck(layout: layout, templates: templates).mistakes(in: text)
        if let error = ComposerError.together(mistakes) { throw error }
        do { return try RuleSet(parsing: text.text, file: name) } catch { throw .unreadable(error) }
    }

    /// The types that values come from cannot hold anything hostile; should one ever, it stops here.
    private static func checkValues(_ values: [String: RuleTemplateValue]) throws(ComposerError) {
        for (name, value) in values {
            switch value {
            case .text(let text):
                let isSafe = text.utf8.allSatisfy { (0x20...0x7e).contains($0) && !unsafe.contains($0) }
                guard isSafe else { throw .unsafeValue(text, name: name) }
            case .groups(let groups): for group in groups { try checkValues(group) }
            case .flag: break
            }
        }
    }

    /// What would end a quoted comment, escape a character in it, or begin a tag.
    private static let unsafe = Set("\"'\\`{}".utf8)
}

extension String {
    /// A file's name without `.mustache`.
    fileprivate var withoutExtension: String {
        hasSuffix(".mustache") ? String(dropLast(".mustache".count)) : self
    }
}
