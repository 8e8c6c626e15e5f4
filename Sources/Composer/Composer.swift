import Netfilter
import Policy
import Templates

/// Makes a rule set of a plan: fills in the rule templates, and believes nothing of what comes out.
///
/// The built-in templates write the rules. An administrator's own templates may hold any mistake, so what they render
/// is compared with what the built-in ones do, line by line.
package struct Composer: Sendable {
    private typealias Parsed = [String: (path: String, parts: [RuleTemplatePart])]

    private let templates: [String: RuleTemplate]
    private let parsed: Parsed
    /// The built-in templates, where the administrator's stand over some of them.
    private let reference: Parsed?
    private let usesSets: Bool

    /// A composer with the built-in rule templates, and the administrator's over them.
    ///
    /// - Parameters:
    ///   - ruleTemplates: by the template's name, `log` for `log.mustache`.
    ///   - usesSets: whether a long list of addresses becomes a set of the kernel's (ipset).
    /// - Throws: every mistake in the templates by themselves.
    package init(ruleTemplates: [String: RuleTemplate] = [:], usesSets: Bool = true) throws(ComposerError) {
        self.usesSets = usesSets
        let builtIn = Dictionary(
            uniqueKeysWithValues: Templates.rules.map {
                ($0.name.withoutExtension, RuleTemplate(builtIn: $0.name, text: $0.text))
            })
        let known = builtIn.keys.sorted()
        var mistakes = ruleTemplates.filter { !known.contains($0.key) }.map {
            ComposerError.unknownTemplate($0.value.path, known: known)
        }
        templates = builtIn.merging(ruleTemplates) { $1 }
        parsed = Self.parse(templates.filter { known.contains($0.key) }, &mistakes)
        reference = ruleTemplates.isEmpty ? nil : Self.parse(builtIn, &mistakes)
        if let error = ComposerError.together(mistakes) { throw error }
    }

    private static func parse(_ templates: [String: RuleTemplate], _ mistakes: inout [ComposerError]) -> Parsed {
        var parsed: Parsed = [:]
        for (name, template) in templates.sorted(by: { $0.key < $1.key }) {
            do throws(ComposerError) {
                parsed[name] = (template.path, try RuleTemplateParser.parse(template, named: name))
            } catch {
                mistakes.append(error)
            }
        }
        return parsed
    }

    /// The plan as the rule set of one family, in iptables-save's own form.
    ///
    /// - Parameters:
    ///   - plan: what may come in.
    ///   - family: the family whose rules are wanted.
    /// - Returns: as `composeWithSets`, without the sets.
    /// - Throws: everything that the administrator's templates made and that is not the plan.
    package func compose(_ plan: Plan, family: Family) throws(ComposerError) -> RuleSet {
        try composeWithSets(plan, family: family).rules
    }

    /// The plan as the rule set of one family, and the sets that its rules look into.
    ///
    /// - Parameters:
    ///   - plan: what may come in.
    ///   - family: the family whose rules are wanted.
    /// - Returns: the sets have to be there before the rules; none where no list of addresses is long. The rules: with `existing: keep` a filter table with INPUT only, whose last rule drops; with `replace` filter and
    ///   nat, where the policy of INPUT drops.
    /// - Throws: everything that the administrator's templates made and that is not the plan.
    package func composeWithSets(
        _ plan: Plan, family: Family
    ) throws(ComposerError) -> (rules: RuleSet, sets: [AddressSet]) {
        let layout = RuleLayout(plan, family, usesSets: usesSets)
        guard layout.longestList <= AddressSet.mostRules else { throw .needsSets(layout.longestList) }
        let values = layout.templateValues
        try Self.checkValues(values)
        let name = RuleTemplateName.ruleset.rawValue
        let text = RenderedText(rendering: name, of: parsed, with: values)
        if let reference {
            let planned = RenderedText(rendering: name, of: reference, with: values)
            let mistakes = ComposedCheck(planned: planned, templates: templates).mistakes(in: text)
            if let error = ComposerError.together(mistakes) { throw error }
        }
        do { return (try RuleSet(parsing: text.text, file: name), layout.sets) } catch { throw .unreadable(error) }
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
