import Netfilter
import Policy

/// Why no rule set came of a plan: always the fault of a rule template, of which the built-in ones are tested.
package enum ComposerError: Error, Equatable, Sendable {
    /// A template, by its path, for which there is no use.
    case unknownTemplate(String, known: [String])
    /// A template that is not the Mustache that is taken here.
    case badTemplate(TemplatePlace, text: String, reason: TemplateMistake)
    /// A value that would break out of its place in a rule.
    case unsafeValue(String, name: String)
    /// The text is not a rule set; the place is the template's.
    case unreadable(RuleSetError)
    /// The tables, chains or policies are not those of the plan, from that place on.
    case wrongTables(expected: String, found: String, at: TemplatePlace)
    /// A planned rule is not there; the place is where its template writes rules.
    case missingRule(String, at: TemplatePlace)
    /// A rule that is not planned.
    case unexpectedRule(String, at: TemplatePlace)
    /// A planned rule that stands in another place.
    case wrongOrder(String, at: TemplatePlace)
    /// A line that iptables-save would print differently.
    case notCanonical(String, canonical: String, at: TemplatePlace)
    /// More than one of these.
    case several([ComposerError])

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
        case .unknownTemplate(let path, let known):
            "\(path): this is not a rule template that is used. They are \(known.joined(separator: ", "))."
        case .badTemplate(let place, let text, let reason):
            "\(place): \(text.quoted) \(reason.message)"
        case .unsafeValue(let value, let name):
            "\(value.quoted) cannot stand in a rule (value \(name.quoted)): it has a quote, brace or control character."
        case .unreadable(let error):
            error.description.replacing("\n", with: " ")
        case .wrongTables(let expected, let found, let place):
            "\(place): the tables and chains must be \(expected.quoted(limit: 400)), not "
                + "\(found.quoted(limit: 400))."
        case .missingRule(let rule, let place):
            "\(place): the planned rule \(rule.quoted(limit: 400)) is missing."
        case .unexpectedRule(let rule, let place):
            "\(place): the rule \(rule.quoted(limit: 400)) is not planned."
        case .wrongOrder(let rule, let place):
            "\(place): the rule \(rule.quoted(limit: 400)) stands where another one is planned."
        case .notCanonical(let line, let canonical, let place):
            "\(place): \(line.quoted(limit: 400)) must be written as iptables-save does: "
                + "\(canonical.quoted(limit: 400))."
        case .several(let errors):
            errors.map(\.description).joined(separator: "\n")
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
