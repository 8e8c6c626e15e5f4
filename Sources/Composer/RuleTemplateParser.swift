/// A piece of a rule template.
enum RuleTemplatePart: Sendable {
    /// The beginning of a line, with its number in the template.
    case line(Int)
    case text(String)
    case lineEnd
    /// `{{name}}`
    case value(String)
    /// `{{#name}}...{{/name}}`, or inverted `{{^name}}...{{/name}}`.
    case section(String, isInverted: Bool, [RuleTemplatePart])
    /// `{{> name}}`, on a line of its own.
    case include(String)
}

/// Reads a rule template into its parts.
///
/// Rule templates use a subset of Mustache (mustache(5)): values, sections, inverted sections, comments and, in
/// `ruleset`, partials. Other Mustache (delimiters, pragmas, inheritance, functions, dynamic names) is refused, and so
/// is a name without a value, which Mustache would ignore silently. A line that contains only tags and no value
/// leaves no line in the output.
struct RuleTemplateParser {
    private enum Token {
        case text(Substring)
        case tag(Substring, line: Int)
    }

    /// A section without its end so far.
    private struct OpenSection {
        let name: Substring
        let line: Int
        let isInverted: Bool
        /// The parts before the section.
        let before: [RuleTemplatePart]
    }

    private let template: RuleTemplate
    private let name: String
    private var parts: [RuleTemplatePart] = []
    private var open: [OpenSection] = []
    private var mistakes: [ComposerError] = []

    /// Reads a template.
    ///
    /// - Parameters:
    ///   - template: the text, and the path for messages.
    ///   - name: the template's name, `log` for `log.mustache`.
    /// - Returns: the parts.
    /// - Throws: every mistake in the template; nothing is reported after a tag without an end.
    static func parse(_ template: RuleTemplate, named name: String) throws(ComposerError) -> [RuleTemplatePart] {
        var parser = Self(template: template, name: name)
        parser.parse()
        if let error = ComposerError.together(parser.mistakes) { throw error }
        return parser.parts
    }

    private init(template: RuleTemplate, name: String) {
        self.template = template
        self.name = name
    }

    private mutating func parse() {
        // For Swift \r\n is one character, for the kernel's tools it is two.
        let lines = template.text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if let bad = lines.firstIndex(where: { $0.contains { ($0 < 0x20 && $0 != 0x09) || $0 == 0x7F } }) {
            return note(String(Substring(lines[bad])), .controlCharacter, line: bad + 1)
        }
        var line = 1
        var rest = template.text[...]
        while !rest.isEmpty {
            let first = line
            guard let tokens = nextLine(&rest, &line) else { return }
            take(tokens, line: first)
        }
        for section in open { note("{{#\(section.name)}}", .sections, line: section.line) }
    }

    /// The text and tags up to the next line end outside of tags; nil after a tag without an end.
    private mutating func nextLine(_ rest: inout Substring, _ line: inout Int) -> [Token]? {
        var tokens: [Token] = []
        while true {
            let end = rest.utf8.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
            guard let start = Self.pair(of: UInt8(ascii: "{"), in: rest[..<end]) else {
                if end > rest.startIndex { tokens.append(.text(rest[..<end])) }
                line += 1
                rest = end < rest.endIndex ? rest[rest.index(after: end)...] : rest[end...]
                return tokens
            }
            if start.lowerBound > rest.startIndex { tokens.append(.text(rest[..<start.lowerBound])) }
            let after = rest[start.upperBound...]
            // A tag inside a tag: the first one was never closed.
            guard let close = Self.pair(of: UInt8(ascii: "}"), in: after),
                after.first == "!" || Self.pair(of: UInt8(ascii: "{"), in: after[..<close.lowerBound]) == nil
            else {
                note("{{" + after.prefix(20), .unfinishedTag, line: line)
                return nil
            }
            let tag = after[..<close.lowerBound]
            tokens.append(.tag(tag, line: line))
            line += tag.utf8.count { $0 == UInt8(ascii: "\n") }
            rest = after[close.upperBound...]
        }
    }

    /// The first place with two of a byte, for which a search by characters takes ten times as long.
    private static func pair(of byte: UInt8, in text: Substring) -> Range<String.Index>? {
        var rest = text.utf8
        while let first = rest.firstIndex(of: byte) {
            rest = rest[first...].dropFirst()
            if rest.first == byte { return first..<rest.index(after: rest.startIndex) }
        }
        return nil
    }

    private mutating func take(_ tokens: [Token], line: Int) {
        let leavesLine =
            tokens.isEmpty
            || tokens.contains { token in
                switch token {
                case .text(let text): text.contains { !$0.isWhitespace }
                case .tag(let tag, _): tag.first.map { !"#^/!>".contains($0) } ?? true
                }
            }
        if leavesLine { parts.append(.line(line)) }
        for token in tokens {
            switch token {
            case .text(let text): if leavesLine { parts.append(.text(String(text))) }
            case .tag(let tag, let line):
                if let mistake = take(tag: tag, line: line, isAlone: tokens.count == 1) {
                    note("{{\(tag)}}", mistake, line: line)
                }
            }
        }
        if leavesLine { parts.append(.lineEnd) }
    }

    private mutating func take(tag: Substring, line: Int, isAlone: Bool) -> ComposerError.TemplateMistake? {
        switch tag.first {
        case nil: return .unknownName
        case "!": return nil
        case "#", "^":
            let name = Self.name(tag.dropFirst())
            open.append(OpenSection(name: name, line: line, isInverted: tag.first == "^", before: parts))
            parts = []
            return mistake(in: name)
        case "/":
            guard let section = open.popLast(), section.name == Self.name(tag.dropFirst()) else { return .sections }
            parts = section.before + [.section(String(section.name), isInverted: section.isInverted, parts)]
            return nil
        case ">":
            let partial = RuleTemplateName(rawValue: String(Self.name(tag.dropFirst())))
            let isRuleset = name == RuleTemplateName.ruleset.rawValue
            guard isRuleset, isAlone, let partial, ![.ruleset, .nftables].contains(partial) else { return .partial }
            parts.append(.include(partial.rawValue))
            return nil
        default:
            let name = Self.name(tag)
            parts.append(.value(String(name)))
            return mistake(in: name)
        }
    }

    /// The names that the template may use.
    private var names: Set<String> {
        name == RuleTemplateName.nftables.rawValue ? TableLayout.templateNames : RuleLayout.templateNames
    }

    private mutating func note(_ text: String, _ reason: ComposerError.TemplateMistake, line: Int) {
        mistakes.append(.badTemplate(TemplatePlace(path: template.path, line: line), text: text, reason: reason))
    }

    private func mistake(in name: Substring) -> ComposerError.TemplateMistake? {
        if name == "." { return nil }
        guard name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) else { return .unknownKind }
        return names.contains(String(name)) ? nil : .unknownName
    }

    private static func name(_ text: Substring) -> Substring {
        let start = text.drop { $0 == " " }
        guard let last = start.lastIndex(where: { $0 != " " }) else { return start }
        return start[...last]
    }
}
