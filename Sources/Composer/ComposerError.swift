import Netfilter
import Policy

/// Why no rule set came of a plan: always the fault of a rule template, of which the built-in ones are tested.
package enum ComposerError: Error, Equatable, Sendable {
    /// A template for which there is no use.
    case unknownTemplate(String, known: [String])
    /// A template that is not the Mustache that is taken here.
    case badTemplate(String, line: Int, text: String, reason: TemplateMistake)
    /// A value that would break out of its place in a rule.
    case unsafeValue(String, name: String)
    /// The text is not a rule set.
    case unreadable(RuleSetError)
    /// The tables, chains or policies are not those of the plan.
    case wrongTables(expected: String, found: String)
    /// A planned rule is not there.
    case missingRule(String, template: String)
    /// A rule that is not planned; `template` writes the rules of that place.
    case unexpectedRule(String, template: String)
    /// A planned rule that stands in another place; `template` writes the rule that should stand there.
    case wrongOrder(String, template: String)
    /// A line that iptables-save would print differently.
    case notCanonical(String, canonical: String)

    /// What can be wrong with a template by itself.
    package enum TemplateMistake: String, Sendable {
        case unfinishedTag
        case unknownName
        case unknownKind
        case partial
        case sections
    }
}

extension ComposerError: CustomStringConvertible {
    /// What is wrong and what to do, for a person.
    package var description: String {
        switch self {
        case .unknownTemplate(let name, let known):
            "\(name.quoted) is not a rule template. They are \(known.joined(separator: ", "))."
        case .badTemplate(let template, let line, let text, let reason):
            "\(template).mustache:\(line): \(text.quoted) \(reason.message)"
        case .unsafeValue(let value, let name):
            "\(value.quoted) cannot stand in a rule (value \(name.quoted)): it has a quote, brace or control character."
        case .unreadable(let error):
            "The rule templates do not make a rule set. \(error)"
        case .wrongTables(let expected, let found):
            "ruleset.mustache: the tables and chains must be \(expected.quoted(limit: 400)), not "
                + "\(found.quoted(limit: 400))."
        case .missingRule(let rule, let template):
            "\(template).mustache: the planned rule \(rule.quoted(limit: 400)) is missing."
        case .unexpectedRule(let rule, let template):
            "\(template).mustache, or one near it: the rule \(rule.quoted(limit: 400)) is not planned."
        case .wrongOrder(let rule, let template):
            "\(template).mustache: the rule \(rule.quoted(limit: 400)) stands where another one is planned."
        case .notCanonical(let line, let canonical):
            "\(line.quoted(limit: 400)) must be written as iptables-save does: \(canonical.quoted(limit: 400))."
        }
    }
}

extension ComposerError.TemplateMistake {
    fileprivate var message: String {
        switch self {
        case .unfinishedTag: "is a tag without an end. Close it with }}."
        case .unknownName: "names no value. The manual lists the names that rule templates may use."
        case .unknownKind: "is a kind of tag that is not taken here. Use # ^ / ! > and plain names."
        case .partial: "includes a template that is not there, or one from within another. Only ruleset may include."
        case .sections: "Sections are not closed in the order in which they were opened."
        }
    }
}
