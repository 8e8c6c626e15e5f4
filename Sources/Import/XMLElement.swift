import Netfilter

/// An element of an XML file, as far as settings files use XML: elements, attributes and text.
struct XMLElement: Equatable, Sendable {
    var name: String
    var attributes: [String: String] = [:]
    var children: [XMLElement] = []
    /// Its text, without that of its children.
    var text = ""

    /// The children with a name.
    func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

    /// The first child with a name.
    func first(_ name: String) -> XMLElement? { children.first { $0.name == name } }
}

/// A mistake in a file of another firewall program.
package struct ImportMistake: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file.
    package var file: String
    /// The line, from 1.
    package var line: Int
    /// The text in question.
    package var text: String
    /// What is wrong with it.
    package var problem: String

    /// A mistake.
    package init(file: String, line: Int, text: String, problem: String) {
        self.file = file
        self.line = line
        self.text = text
        self.problem = problem
    }

    /// The place, the text and what is wrong.
    package var description: String { "\(file):\(line): \(text.quoted(limit: 120)): \(problem)" }
}

extension XMLElement {
    /// The deepest nesting of elements that is read.
    private static let deepest = 32

    /// Reads a file; document types are refused, because they can define what any text means.
    ///
    /// - Parameters:
    ///   - text: the file.
    ///   - file: its name, for messages.
    /// - Returns: the outermost element.
    /// - Throws: `ImportMistake` with the first mistake.
    static func parse(_ text: String, file: String) throws(ImportMistake) -> XMLElement {
        var reader = XMLReader(text: Array(text.utf8), file: file)
        return try reader.document(deepest: deepest)
    }
}

/// Reads XML from its beginning to its end.
private struct XMLReader {
    let text: [UInt8]
    let file: String
    var place = 0

    mutating func document(deepest: Int) throws(ImportMistake) -> XMLElement {
        try skipMisc()
        guard peek("<") else { throw mistake("An element is missing here.") }
        let root = try element(depth: deepest)
        try skipMisc()
        guard place == text.count else { throw mistake("Nothing may follow the outermost element.") }
        return root
    }

    private func mistake(_ problem: String) -> ImportMistake {
        let start = text[..<min(place, text.count)].lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        let end = text[min(place, text.count)...].firstIndex(of: 0x0A) ?? text.count
        return ImportMistake(
            file: file, line: text[..<start].count { $0 == 0x0A } + 1,
            text: String(decoding: text[start..<max(start, end)], as: UTF8.self), problem: problem)
    }

    private func peek(_ word: String) -> Bool { text[place...].starts(with: word.utf8) }

    private mutating func take(_ word: String) -> Bool {
        guard peek(word) else { return false }
        place += word.utf8.count
        return true
    }

    private mutating func skip(past end: String) throws(ImportMistake) {
        while place < text.count {
            if take(end) { return }
            place += 1
        }
        throw mistake("\"\(end)\" is missing.")
    }

    private mutating func skipBlanks() {
        while place < text.count, [0x20, 0x09, 0x0A, 0x0D].contains(text[place]) { place += 1 }
    }

    private mutating func skipMisc() throws(ImportMistake) {
        if place == 0 { _ = take("\u{FEFF}") }
        while true {
            skipBlanks()
            if take("<?") { try skip(past: "?>") } else if take("<!--") { try skip(past: "-->") } else { break }
        }
        if peek("<!") { throw mistake("A document type is not supported.") }
    }

    private mutating func name() throws(ImportMistake) -> String {
        let start = place
        while place < text.count, !" \t\r\n=/<>\"'".utf8.contains(text[place]) { place += 1 }
        guard place > start else { throw mistake("A name is missing here.") }
        return String(decoding: text[start..<place], as: UTF8.self)
    }

    private mutating func element(depth: Int) throws(ImportMistake) -> XMLElement {
        guard depth > 0 else { throw mistake("The elements are nested too deeply.") }
        guard take("<") else { throw mistake("An element is missing here.") }
        var element = XMLElement(name: try name())
        while true {
            skipBlanks()
            if take("/>") { return element }
            if take(">") { break }
            let key = try name()
            skipBlanks()
            guard take("=") else { throw mistake("The attribute \(key) has no value.") }
            skipBlanks()
            element.attributes[key] = try value()
        }
        var content: [UInt8] = []
        while place < text.count {
            if take("</") {
                guard try name() == element.name else { throw mistake("</\(element.name)> is missing.") }
                skipBlanks()
                guard take(">") else { throw mistake("\">\" is missing.") }
                element.text = Self.plain(String(decoding: content, as: UTF8.self))
                return element
            }
            if take("<!--") {
                try skip(past: "-->")
            } else if take("<![CDATA[") {
                try skip(past: "]]>")
            } else if peek("<") {
                element.children.append(try self.element(depth: depth - 1))
            } else {
                content.append(text[place])
                place += 1
            }
        }
        throw mistake("</\(element.name)> is missing.")
    }

    private mutating func value() throws(ImportMistake) -> String {
        guard let quote = ["\"", "'"].first(where: { peek($0) }) else { throw mistake("A value needs quotes.") }
        _ = take(quote)
        let start = place
        while place < text.count, !peek(quote), text[place] != UInt8(ascii: "<") { place += 1 }
        guard peek(quote) else { throw mistake("A value does not end.") }
        let raw = String(decoding: text[start..<place], as: UTF8.self)
        _ = take(quote)
        return Self.plain(raw)
    }

    /// Text with its entities resolved, and without white space around it.
    private static func plain(_ raw: String) -> String {
        let words = raw.split(whereSeparator: \.isNewline).joined(separator: " ")
        let trimmed = words.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
        guard raw.contains("&") else { return String(trimmed) }
        let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        return entities.reduce(String(trimmed)) { $0.replacing($1.0, with: $1.1) }
    }
}
