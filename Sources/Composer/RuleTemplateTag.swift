import Netfilter
import Policy

/// A Mustache tag in a rule template, read only to refuse what Mustache would pass over in silence.
///
/// Mustache renders nothing for a name that it does not know, and a template that includes itself never ends. Of its
/// tags sections, comments, values and (in `ruleset`) partials are taken; delimiters, pragmas, inheritance, functions
/// and dynamic names are not.
enum RuleTemplateTag {
    /// Every mistake in a template; after a tag without an end nothing more can be told.
    static func mistakes(in template: RuleTemplate, named name: String) -> [ComposerError] {
        var mistakes: [ComposerError] = []
        var open: [Substring] = []
        var rest = template.text[...]
        var line = 1
        func note(_ text: String, _ reason: ComposerError.TemplateMistake) {
            mistakes.append(
                .badTemplate(TemplatePlace(path: template.path, line: line), text: text, reason: reason))
        }
        // Mustache and Swift would take \r\n for one character, the kernel's tools for two.
        let lines = template.text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if let bad = lines.firstIndex(where: { $0.contains { ($0 < 0x20 && $0 != 0x09) || $0 == 0x7F } }) {
            line = bad + 1
            note(String(Substring(lines[bad])), .controlCharacter)
            return mistakes
        }
        while let start = rest.firstRange(of: "{{") {
            line += rest[..<start.lowerBound].utf8.count { $0 == UInt8(ascii: "\n") }
            let after = rest[start.upperBound...]
            // A tag inside a tag: the first one was never closed.
            guard let end = after.firstRange(of: "}}"),
                after.first == "!" || !after[..<end.lowerBound].contains("{{")
            else {
                note("{{" + after.prefix(20), .unfinishedTag)
                return mistakes
            }
            let tag = after[..<end.lowerBound]
            let isAlone =
                rest[..<start.lowerBound].last ?? "\n" == "\n" && after[end.upperBound...].first ?? "\n" == "\n"
            if let mistake = check(tag, template: name, open: &open) {
                note("{{\(tag)}}", mistake)
            } else if tag.first == ">", !isAlone {
                note("{{\(tag)}}", .partial)
            }
            line += tag.utf8.count { $0 == UInt8(ascii: "\n") }
            rest = after[end.upperBound...]
        }
        for section in open {
            line = template.text[..<section.startIndex].utf8.count { $0 == UInt8(ascii: "\n") } + 1
            note("{{#\(section)}}", .sections)
        }
        return mistakes
    }

    private static func check(
        _ tag: Substring, template: String, open: inout [Substring]
    ) -> ComposerError.TemplateMistake? {
        guard let kind = tag.first, kind != "!" else { return tag.isEmpty ? .unknownName : nil }
        let isSection = kind == "#" || kind == "^"
        guard isSection || kind == "/" || kind == ">" else { return mistake(in: name(tag)) }
        let name = name(tag.dropFirst())
        if isSection {
            open.append(name)
        } else if kind == "/" {
            return open.popLast() == name ? nil : .sections
        } else {
            let isRuleset = template == PlannedRule.Template.ruleset.rawValue
            let partial = PlannedRule.Template(rawValue: String(name))
            return isRuleset && partial != nil && partial != .ruleset ? nil : .partial
        }
        return mistake(in: name)
    }

    private static func mistake(in name: Substring) -> ComposerError.TemplateMistake? {
        if name == "." { return nil }
        guard name.utf8.allSatisfy({ isLetter($0) || isDigit($0) }) else { return .unknownKind }
        return RuleLayout.templateNames.contains(String(name)) ? nil : .unknownName
    }

    private static func name(_ text: Substring) -> Substring {
        let start = text.drop { $0 == " " }
        guard let last = start.lastIndex(where: { $0 != " " }) else { return start }
        return start[...last]
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
