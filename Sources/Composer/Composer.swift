import Netfilter
import Policy
import Templates

/// Creates a rule set from a plan: fills in the rule templates, and checks the result.
///
/// The built-in templates write the rules. An administrator's own templates may contain any mistake, so their output
/// is compared with that of the built-in ones, line by line.
package struct Composer: Sendable {
    private typealias Parsed = [String: (path: String, parts: [RuleTemplatePart])]

    private let templates: [String: RuleTemplate]
    private let parsed: Parsed
    /// The built-in templates, some of them replaced by the administrator's.
    private let reference: Parsed?
    private let usesSets: Bool

    /// Creates a composer with the built-in rule templates, and the administrator's, which replace built-in ones.
    ///
    /// - Parameters:
    ///   - ruleTemplates: by the template's name, `log` for `log.mustache`.
    ///   - usesSets: whether a long list of addresses becomes a kernel set (ipset).
    /// - Throws: every mistake that the templates have on their own.
    package init(ruleTemplates: [String: RuleTemplate] = [:], usesSets: Bool = true) throws(ComposerError) {
        self.usesSets = usesSets
        let builtIn = Self.builtIn
        let known = builtIn.templates.keys.sorted()
        var mistakes =
            builtIn.mistakes
            + ruleTemplates.filter { !known.contains($0.key) }.map {
                ComposerError.unknownTemplate($0.value.path, known: known)
            }
        templates = builtIn.templates.merging(ruleTemplates) { $1 }
        let own = Self.parse(ruleTemplates.filter { known.contains($0.key) }, &mistakes)
        parsed = builtIn.parsed.merging(own) { $1 }
        reference = ruleTemplates.isEmpty ? nil : builtIn.parsed
        if let error = ComposerError.together(mistakes) { throw error }
    }

    /// The templates inside the binary, parsed once, and their mistakes, which a test rules out.
    private static let builtIn: (templates: [String: RuleTemplate], parsed: Parsed, mistakes: [ComposerError]) = {
        let templates = Dictionary(
            uniqueKeysWithValues: Templates.rules.map {
                ($0.name.withoutExtension, RuleTemplate(builtIn: $0.name, text: $0.text))
            })
        var mistakes: [ComposerError] = []
        let parsed = parse(templates, &mistakes)
        return (templates, parsed, mistakes)
    }()

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

    /// The plan as the rule set of one family, as iptables-save prints it.
    ///
    /// - Parameters:
    ///   - plan: what is allowed.
    ///   - family: the family of the rules.
    /// - Returns: the rules of `composeWithSets`, without the sets.
    /// - Throws: everything in the output of the administrator's templates that is not in the plan.
    package func compose(_ plan: Plan, family: Family) throws(ComposerError) -> RuleSet {
        try composeWithSets(plan, family: family).rules
    }

    /// The plan as the rule set of one family, and the sets that its rules use.
    ///
    /// - Parameters:
    ///   - plan: what is allowed.
    ///   - family: the family of the rules.
    /// - Returns: the rules, and the sets that must exist before they are loaded (none if no list of addresses is
    ///   long). With `existing: keep` the rules are a filter table with only INPUT, whose last rule drops; with
    ///   `replace` filter and nat, where the policy of INPUT drops.
    /// - Throws: everything in the output of the administrator's templates that is not in the plan.
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

    /// The plan as the table of the backend nftables, with the sets that its rules use.
    ///
    /// - Parameter plan: what may come in.
    /// - Returns: one table for both families, as nft(8) reads it.
    /// - Throws: everything that the administrator's template made and that is not the plan.
    package func composeTable(_ plan: Plan) throws(ComposerError) -> NFTable {
        let layout = TableLayout(plan)
        let values = layout.templateValues
        try Self.checkValues(values)
        let name = RuleTemplateName.nftables.rawValue
        let text = RenderedText(rendering: name, of: parsed, with: values)
        if let reference {
            let planned = RenderedText(rendering: name, of: reference, with: values)
            let check = ComposedCheck(planned: planned, templates: templates, isForNFTables: true)
            if let error = ComposerError.together(check.mistakes(in: text)) { throw error }
        }
        do throws(NFTableError) {
            guard var table = try NFTable.tables(in: text.text).first else { throw NFTableError(line: 1, text: "") }
            table.parts.insert(contentsOf: layout.sets, at: 0)
            return table
        } catch {
            let place = text.places.indices.contains(error.line - 1) ? text.places[error.line - 1] : nil
            throw .notATable(error.text, at: place ?? TemplatePlace(path: name, line: 1))
        }
    }

    /// The types of the values cannot contain anything hostile; if one ever does, it is refused here.
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

    /// Characters that would end a quoted comment, escape a character in it, or begin a tag.
    private static let unsafe = Set("\"'\\`{}".utf8)
}

extension String {
    /// A file's name without `.mustache`.
    fileprivate var withoutExtension: String {
        hasSuffix(".mustache") ? String(dropLast(".mustache".count)) : self
    }
}
