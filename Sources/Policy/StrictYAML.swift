/// Reads one small YAML document that a person wrote, strictly.
///
/// It supports mappings, lists, plain and quoted text and comments. Surprising or dangerous features are refused:
/// anchors, aliases and merge keys (an alias bomb expands to gigabytes), tags, directives, block text, several
/// documents, deep nesting, repeated keys. Plain text stays text: `no`, `0x16` and `1_000` are not converted.
package enum StrictYAML {
    /// A larger file is refused without parsing.
    package static let sizeLimit = 1 << 20
    /// The maximum nesting depth of lists and mappings.
    package static let depthLimit = 8

    /// Reads a file's bytes.
    ///
    /// - Parameters:
    ///   - bytes: the file.
    ///   - mistakes: collects everything that is wrong.
    /// - Returns: what could be read, even with mistakes; nil if nothing could.
    package static func read(_ bytes: [UInt8], mistakes: inout Mistakes) -> YAMLNode? {
        guard bytes.count <= sizeLimit else {
            mistakes.add(
                line: 1, text: "", "The file has \(bytes.count) bytes; the limit is \(sizeLimit).",
                remedy: "Check whether it is the right file.")
            return nil
        }
        guard let source = StrictYAMLText(bytes, mistakes: &mistakes) else { return nil }
        let known = mistakes.count
        var builder = YAMLTreeBuilder(source: source, mistakes: mistakes)
        let failure = YAMLEvents.walk(source.text) { builder.take($0) }
        mistakes = builder.mistakes
        if let failure {
            note(failure, in: builder.lines, mistakes: &mistakes)
            return nil
        }
        guard let root = builder.root else {
            if mistakes.count == known {
                mistakes.add(line: 1, text: "", "The file is empty.")
            }
            return nil
        }
        return root
    }

    private static func note(_ failure: YAMLSyntaxError, in lines: [Substring], mistakes: inout Mistakes) {
        // At the end of the file libYAML points past the text: the start of what it was reading, or else the last line,
        // is more useful to people.
        let isWritten = { (number: Int) in
            lines.indices.contains(number - 1) && lines[number - 1].contains { $0 != " " }
        }
        let candidates = [failure.place.line, failure.context?.line ?? 0] + (1...max(lines.count, 1)).reversed()
        let index = candidates.first(where: isWritten) ?? 1
        let line = lines.indices.contains(index - 1) ? lines[index - 1] : ""
        let text = line.drop { $0 == " " }
        let context = failure.context.map { context in
            context.line == index ? " \(context.text)" : " \(context.text) that begins on line \(context.line)"
        }
        let column = index == failure.place.line ? failure.place.column : 1
        let tab = line.unicodeScalars.dropFirst(column - 1).first == "\t"
        mistakes.add(
            line: index, column: column, text: String(text),
            "\(String(text).quoted) is not valid YAML: \(failure.problem)\(context ?? "").",
            remedy: tab
                ? "Indent with spaces, not with tabs."
                : line.contains("::") ? "Write an IPv6 address in quotes." : nil)
    }
}
