extension Mistakes {
    // Each of these reads a node as one kind of value; for anything else it adds a mistake and returns nil. `what`
    // names the value in the message: a key in quotes, or a few words.

    /// A mapping with known keys only.
    package mutating func mapping(_ node: YAMLNode, known: [String], what: String) -> YAMLMapping? {
        guard case .mapping(let entries) = node.content else {
            wrongKind(node, what: what, wanted: "a group of keys", remedy: "Write keys such as \"\(known[0]):\".")
            return nil
        }
        var values: [String: YAMLNode.Entry] = [:]
        for entry in entries {
            if known.contains(entry.name) {
                values[entry.name] = entry
            } else {
                let list = known.joined(separator: ", ")
                add(
                    entry.key, "\(entry.name.quoted) is not a key of \(what).",
                    remedy: Suggestion.remedy(for: entry.name, among: known, otherwise: "The keys are \(list)."))
            }
        }
        return YAMLMapping(node: node, entries: values)
    }

    /// A list.
    package mutating func sequence(_ node: YAMLNode, what: String, example: String) -> [YAMLNode]? {
        guard case .sequence(let items) = node.content else {
            wrongKind(node, what: what, wanted: "a list", remedy: "Write it as \(example).")
            return nil
        }
        return items
    }

    /// Text, plain or quoted, of at most `limit` characters.
    package mutating func string(_ node: YAMLNode, what: String, limit: Int = 200) -> String? {
        guard case .scalar(let text, let quoted) = node.content, quoted || !text.isEmpty else {
            wrongKind(node, what: what, wanted: "text", remedy: nil)
            return nil
        }
        guard text.unicodeScalars.count <= limit else {
            add(node, "\(text.quoted) is too long for \(what).", remedy: "Use at most \(limit) characters.")
            return nil
        }
        return text
    }

    /// A whole number in decimal ASCII digits, without sign, quotes or leading zeros.
    package mutating func integer(_ node: YAMLNode, in range: ClosedRange<Int>, what: String) -> Int? {
        guard case .scalar(let text, let quoted) = node.content, quoted || !text.isEmpty else {
            wrongKind(node, what: what, wanted: "a number", remedy: nil)
            return nil
        }
        let wanted = "from \(range.lowerBound) to \(range.upperBound)"
        let digits = text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard !quoted else {
            add(node, "\(text.quoted) is in quotes.", remedy: "For \(what) write the number without quotes.")
            return nil
        }
        guard digits, text == "0" || !text.utf8.starts(with: "0".utf8) else {
            add(node, "\(text.quoted) is not a whole number.", remedy: "For \(what) write plain digits, \(wanted).")
            return nil
        }
        guard let number = Int(text), range.contains(number) else {
            add(node, "\(text.quoted) is out of range.", remedy: "For \(what) write a number \(wanted).")
            return nil
        }
        return number
    }

    /// Exactly `true` or `false`.
    package mutating func bool(_ node: YAMLNode, what: String) -> Bool? {
        switch node.content {
        case .scalar("true", quoted: false): return true
        case .scalar("false", quoted: false): return false
        case .scalar(let text, let quoted) where quoted || !text.isEmpty:
            add(
                node, "\(text.quoted) is neither true nor false\(quoted ? ": it is quoted text" : "").",
                remedy: "For \(what) write true or false.")
        default:
            wrongKind(node, what: what, wanted: "true or false", remedy: nil)
        }
        return nil
    }

    /// One of the words of an enum.
    package mutating func word<Word: RawRepresentable<String> & CaseIterable>(
        _ node: YAMLNode, as type: Word.Type, what: String
    ) -> Word? {
        guard let text = string(node, what: what) else { return nil }
        if let word = Word(rawValue: text) { return word }
        let words = Word.allCases.map(\.rawValue)
        add(
            node, "\(text.quoted) is not a valid value of \(what).",
            remedy: "Write \(words.dropLast().joined(separator: ", ")) or \(words.last ?? "").")
        return nil
    }

    /// Adds a mistake for a value of the wrong kind, unless it was already refused.
    package mutating func wrongKind(_ node: YAMLNode, what: String, wanted: String, remedy: String?) {
        if case .refused = node.content { return }
        if node.isEmpty {
            add(
                node, "There is no value for \(what); it takes \(wanted).", remedy: remedy ?? "Fill it in or delete it."
            )
        } else {
            add(node, "\(node.text.quoted) is \(node.kind); \(what) takes \(wanted).", remedy: remedy)
        }
    }
}

/// A mapping with known keys only.
package struct YAMLMapping: Sendable {
    /// Its place.
    package let node: YAMLNode
    private let entries: [String: YAMLNode.Entry]

    init(node: YAMLNode, entries: [String: YAMLNode.Entry]) {
        self.node = node
        self.entries = entries
    }

    /// The value of a key; nil if the key is missing.
    package subscript(name: String) -> YAMLNode? { entries[name]?.value }

    /// The key itself, for the place of a mistake.
    package func key(_ name: String) -> YAMLNode? { entries[name]?.key }
}
