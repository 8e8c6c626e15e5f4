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
    /// A line that no rule set can hold; the place is the template's.
    case unreadable(RuleSetError)
    /// A planned line is not there; the place is where it would be written.
    case missing(String, at: TemplatePlace)
    /// A template, by its name, that nothing includes.
    case notIncluded(String, at: TemplatePlace)
    /// A line that is not planned.
    case unplanned(String, at: TemplatePlace)
    /// A planned line that stands in another place, or once more.
    case wrongOrder(String, at: TemplatePlace)
    /// A line that stands where another one is planned, perhaps the same in another spelling.
    case differs(String, planned: String, at: TemplatePlace)
    /// A list of so many addresses, where the kernel has no sets.
    case needsSets(Int)
    /// More than one of these.
    case several([ComposerError])

    /// What can be wrong with a template by itself.
    package enum TemplateMistake: String, Sendable {
        case unfinishedTag
        case unknownName
        case unknownKind
        case partial
        case sections
        case controlCharacter
    }
}

extension ComposerError {
    /// Several mistakes as one error, told once for each line of a template: a line may render many, in both families.
    ///
    /// - Returns: nil where there are none.
    package static func together(_ errors: [ComposerError]) -> ComposerError? {
        var seen: Set<String> = []
        let told = errors.flatMap(\.each).filter { seen.insert($0.cause).inserted }
        return told.count > 1 ? .several(told) : told.first
    }

    private var each: [ComposerError] {
        if case .several(let errors) = self { errors } else { [self] }
    }

    /// What is to be mended: the line of a template, for what is wrong in what it renders.
    private var cause: String {
        switch self {
        case .unknownTemplate, .badTemplate, .unsafeValue, .notIncluded, .needsSets, .several: description
        case .unreadable(let error): TemplatePlace(path: error.file, line: error.line).description
        case .missing(_, let place), .unplanned(_, let place), .wrongOrder(_, let place), .differs(_, _, let place):
            place.description
        }
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
        case .missing(let line, let place):
            "\(place): the planned line \(line.quoted(limit: 400)) is missing."
        case .notIncluded(let name, let place):
            "\(place): \("{{> \(name)}}".quoted) is missing, and with it rules that are planned."
        case .unplanned(let line, let place):
            "\(place): \(line.quoted(limit: 400)) is not planned."
        case .wrongOrder(let line, let place):
            "\(place): \(line.quoted(limit: 400)) stands in another place than planned, or twice."
        case .differs(let line, let planned, let place):
            "\(place): \(line.quoted(limit: 400)) is not what is planned: \(planned.quoted(limit: 400))."
        case .needsSets(let count):
            "A list has \(count) addresses and networks. Without ipset at most \(AddressSet.mostRules) are possible. "
                + "Install ipset, or use networks instead of single addresses."
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
        case .partial: "includes a template that is not there, or not on a line of its own. Only ruleset may include."
        case .controlCharacter: "has a control character. Remove it; lines end in a plain newline, without \\r."
        case .sections: "is a section without its other half, or one across another section."
        }
    }
}
