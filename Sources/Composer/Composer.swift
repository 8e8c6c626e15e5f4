import Mustache
import Netfilter
import Policy
import Templates

/// Makes a rule set of a plan: fills in the rule templates, and believes nothing of what comes out.
///
/// Mustache renders nothing where a name is missing and says nothing about it, and an administrator's own templates
/// may hold any mistake. So the text is read back and held against the plan, rule by rule.
package struct Composer: Sendable {
    private let library: MustacheLibrary

    /// A composer with the built-in rule templates, and the administrator's over them.
    ///
    /// - Parameter ruleTemplates: texts by the template's name, `log` for `log.mustache`.
    /// - Throws: the first mistake in a template.
    package init(ruleTemplates: [String: String] = [:]) throws(ComposerError) {
        var texts = Dictionary(uniqueKeysWithValues: Templates.rules.map { ($0.name.withoutExtension, $0.text) })
        for (name, text) in ruleTemplates.sorted(by: { $0.key < $1.key }) {
            guard texts.updateValue(text, forKey: name) != nil else {
                throw .unknownTemplate(name, known: texts.keys.filter { $0 != name }.sorted())
            }
        }
        var library = MustacheLibrary()
        for (name, text) in texts.sorted(by: { $0.key < $1.key }) {
            try RuleTemplateTag.check(text, template: name)
            do {
                // Text, not HTML: as HTML every quote would become an entity. Each partial begins as HTML anew.
                try library.register("{{% CONTENT_TYPE:TEXT}}\n" + text, named: name)
            } catch {
                throw .badTemplate(name, line: 1, text: "", reason: .sections)
            }
        }
        self.library = library
    }

    /// The plan as the rule set of one family, in iptables-save's own form.
    ///
    /// - Parameters:
    ///   - plan: what may come in.
    ///   - family: the family whose rules are wanted.
    /// - Returns: with `existing: keep` a filter table with INPUT only, with `replace` filter and nat.
    /// - Throws: what a rule template made that is not the plan.
    package func compose(_ plan: Plan, family: Family) throws(ComposerError) -> RuleSet {
        let layout = RuleLayout(plan, family)
        let values = layout.templateValues
        try Self.checkValues(values, name: "")
        guard let text = library.render(values, withTemplate: PlannedRule.Template.ruleset.rawValue) else {
            throw .unknownTemplate(PlannedRule.Template.ruleset.rawValue, known: [])
        }
        let rendered: RuleSet
        do {
            rendered = try RuleSet(parsing: text, file: "\(family.rawValue) rules")
        } catch {
            throw .unreadable(error)
        }
        try ComposedCheck(layout: layout).check(rendered, text: text)
        return rendered
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
