import Netfilter
import Policy

/// Why a plan could not be composed into rules: always a mistake in a rule template; the built-in ones are tested.
package enum ComposerError: Error, Equatable, Sendable {
    /// A template, by its path, that is not known.
    case unknownTemplate(String, known: [String])
    /// A template with unsupported Mustache.
    case badTemplate(TemplatePlace, text: String, reason: TemplateMistake)
    /// A value with characters that are not allowed in a rule.
    case unsafeValue(String, name: String)
    /// A line that is not valid in a rule set; the place is the template's.
    case unreadable(RuleSetError)
    /// A template for nft(8) that renders something else than one table.
    case notATable(String, at: TemplatePlace)
    /// A planned line is missing; the place is where it would be written.
    case missing(String, at: TemplatePlace)
    /// A template, by its name, that nothing includes.
    case notIncluded(String, at: TemplatePlace)
    /// A line that is not planned.
    case unplanned(String, at: TemplatePlace)
    /// A planned line in a different place, or a duplicate.
    case wrongOrder(String, at: TemplatePlace)
    /// A line in the place of a planned one, perhaps the same in another spelling.
    case differs(String, planned: String, at: TemplatePlace)
    /// A list with this many addresses, although the kernel does not support sets.
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
    /// Several mistakes as one error, one per template line: a line can render several times, in both families.
    ///
    /// - Returns: nil if there are none.
    package static func together(_ errors: [ComposerError]) -> ComposerError? {
        var seen: Set<String> = []
        let told = errors.flatMap(\.each).filter { seen.insert($0.cause).inserted }
        return told.count > 1 ? .several(told) : told.first
    }

    private var each: [ComposerError] {
        if case .several(let errors) = self { errors } else { [self] }
    }

    /// What has to be corrected: for a mistake in rendered text, the line of the template.
    private var cause: String {
        switch self {
        case .unknownTemplate, .badTemplate, .unsafeValue, .notIncluded, .needsSets, .several: description
        case .unreadable(let error): TemplatePlace(path: error.file, line: error.line).description
        case .notATable(_, let place), .missing(_, let place), .unplanned(_, let place), .wrongOrder(_, let place),
            .differs(_, _, let place):
            place.description
        }
    }
}

extension ComposerError: CustomStringConvertible {
    /// What is wrong and what to do, for people.
    package var description: String {
        switch self {
        case .unknownTemplate(let path, let known):
            "\(path): this is not a known rule template. The known ones are \(known.joined(separator: ", "))."
        case .badTemplate(let place, let text, let reason):
            "\(place): \(text.quoted) \(reason.message)"
        case .unsafeValue(let value, let name):
            "\(value.quoted) is not allowed in a rule (value \(name.quoted)): it has a quote, brace or control character."
        case .unreadable(let error):
            error.description.replacing("\n", with: " ")
        case .notATable(let line, let place):
            "\(place): \(line.quoted(limit: 400)) is not in the form of nft's listings: one tab before a chain, two before a rule."
        case .missing(let line, let place):
            "\(place): the planned line \(line.quoted(limit: 400)) is missing."
        case .notIncluded(let name, let place):
            "\(place): \("{{> \(name)}}".quoted) is missing, so planned rules are missing."
        case .unplanned(let line, let place):
            "\(place): \(line.quoted(limit: 400)) is not planned."
        case .wrongOrder(let line, let place):
            "\(place): \(line.quoted(limit: 400)) is in a different place than planned, or there twice."
        case .differs(let line, let planned, let place):
            "\(place): \(line.quoted(limit: 400)) is different from the planned line: \(planned.quoted(limit: 400))."
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
        case .unknownName: "is not the name of a value. The manual lists the names that rule templates can use."
        case .unknownKind: "is a kind of tag that is not supported. Use # ^ / ! > and plain names."
        case .partial: "includes a missing template, or is not on its own line. Only ruleset can include templates."
        case .controlCharacter: "has a control character. Remove it; lines end in a plain newline, without \\r."
        case .sections: "is a section without its start or end, or one that overlaps another section."
        }
    }
}
