import Mustache
import Netfilter
import Policy
import Templates

/// Makes a rule set of a plan: fills in the rule templates, and believes nothing of what comes out.
///
/// Mustache renders nothing where a name is missing and says nothing about it, and an administrator's own templates
/// may hold any mistake. So the text is held against the plan, line by line.
package struct Composer: Sendable {
    private let library: MustacheLibrary
    private let templates: [String: RuleTemplate]

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
        var library = MustacheLibrary()
        for (name, template) in templates.sorted(by: { $0.key < $1.key }) where known.contains(name) {
            let found = RuleTemplateTag.mistakes(in: template, named: name)
            mistakes += found
            guard found.isEmpty else { continue }
            do {
                // Text, not HTML: as HTML every quote would become an entity. Each partial begins as HTML anew.
                try library.register(
                    "{{% CONTENT_TYPE:TEXT}}\n" + RenderedText.marked(template, named: name), named: name)
            } catch {
                mistakes.append(
                    .badTemplate(TemplatePlace(path: template.path, line: 1), text: "", reason: .sections))
            }
        }
        if let error = ComposerError.together(mistakes) { throw error }
        self.library = library
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
        try Self.checkValues(values, name: "")
        let name = PlannedRule.Template.ruleset.rawValue
        guard let marked = library.render(values, withTemplate: name) else {
            throw .unknownTemplate(name, known: [])
        }
        let text = RenderedText(marked: marked, from: templates, beginning: name)
        let mistakes = ComposedCheck(layout: layout, templates: templates).mistakes(in: text)
        if let error = ComposerError.together(mistakes) { throw error }
        do { return try RuleSet(parsing: text.text, file: name) } catch { throw .unreadable(error) }
    }

    /// The types that values come from cannot hold anything hostile; should one ever, it stops here.
    private static func checkValues(_ value: Any, name: String) throws(ComposerError) {
        switch value {
        case let text as String:
            let isSafe = text.utf8.allSatisfy { (0x20...0x7e).contains($0) && !unsafe.contains($0) }
            guard isSafe else { throw .unsafeValue(text, name: name) }
        case let group as [String: Any]:
            for (name, value) in group { try checkValues(value, name: name) }
        case let list as [[String: Any]]:
            for value in list { try checkValues(value, name: name) }
        default: break
        }
    }

    /// What would end a quoted comment, escape a character in it, or begin a Mustache tag.
    private static let unsafe = Set("\"'\\`{}".utf8)
}

extension String {
    /// A file's name without `.mustache`.
    fileprivate var withoutExtension: String {
        hasSuffix(".mustache") ? String(dropLast(".mustache".count)) : self
    }
}
