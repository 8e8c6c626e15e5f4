/// Builds the tree of a document from events, without recursion, so that its depth is known before it is built.
struct YAMLTreeBuilder {
    private(set) var mistakes: Mistakes
    private(set) var root: YAMLNode?
    let lines: [Substring]
    private let damaged: Set<Int>
    private let textEnd: YAMLMark
    private var open: [Frame] = []
    private var documents = 0

    /// A list or mapping without its end so far.
    private struct Frame {
        let isMapping: Bool
        let place: YAMLMark
        let text: String
        var items: [YAMLNode] = []
        var entries: [YAMLNode.Entry] = []
        /// The key without its value so far.
        var key: YAMLNode?
        /// Where each key occurred first.
        var seen: [String: Int] = [:]
    }

    init(source: StrictYAMLText, mistakes: Mistakes) {
        self.mistakes = mistakes
        lines = source.text.split(separator: "\n", omittingEmptySubsequences: false)
        damaged = source.damaged
        textEnd = YAMLMark(line: lines.count, column: (lines.last?.unicodeScalars.count ?? 0) + 1)
    }

    /// Processes one event; false if it makes no sense to continue.
    mutating func take(_ event: YAMLEvent) -> Bool {
        let event = event.inside(textEnd)
        switch event.kind {
        case .documentStart(let directives):
            documents += 1
            if directives {
                note(event, "Directives such as %YAML and %TAG are not supported.", remedy: "Delete them.")
            }
            if documents > 1 {
                note(
                    event, "A second document begins here; only one is supported.",
                    remedy: "Delete the line \"---\" and keep one document.")
                return false
            }
        case .alias:
            note(
                event, "\(snippet(event).quoted) is an alias (*); aliases are not supported.",
                remedy: "Write the value out.")
            place(node(.refused, event))
        case .scalar(let value, let style):
            refuseAnchorAndTag(event)
            place(scalar(value, style, event))
        case .sequenceStart, .mappingStart:
            refuseAnchorAndTag(event)
            return begin(event)
        case .sequenceEnd, .mappingEnd:
            end(event)
        case .other:
            break
        }
        return true
    }

    // MARK: - Lists and mappings

    private mutating func begin(_ event: YAMLEvent) -> Bool {
        guard open.count < StrictYAML.depthLimit else {
            note(
                event, "More than \(StrictYAML.depthLimit) lists or groups of keys are nested here.",
                remedy: "No supported file needs so many.")
            return false
        }
        if let frame = open.last, frame.isMapping, frame.key == nil {
            note(event, "\(snippet(event).quoted) cannot be a key.", remedy: "A key is a word followed by a colon.")
            return false
        }
        if case .mappingStart = event.kind {
            open.append(Frame(isMapping: true, place: event.start, text: snippet(event)))
        } else {
            open.append(Frame(isMapping: false, place: event.start, text: snippet(event)))
        }
        return true
    }

    private mutating func end(_ event: YAMLEvent) {
        guard let frame = open.popLast() else { return }
        // The text after the closing bracket is not part of it.
        let length = event.end.line == frame.place.line ? event.end.column - frame.place.column : .max
        let text = String(String.UnicodeScalarView(frame.text.unicodeScalars.prefix(length)))
        place(
            YAMLNode(
                content: frame.isMapping ? .mapping(frame.entries) : .sequence(frame.items),
                line: frame.place.line, column: frame.place.column, text: text))
    }

    /// Adds a finished value to its parent.
    private mutating func place(_ node: YAMLNode) {
        guard var frame = open.popLast() else {
            root = node
            return
        }
        defer { open.append(frame) }
        guard frame.isMapping else {
            frame.items.append(node)
            return
        }
        guard let key = frame.key else {
            frame.key = node
            return
        }
        frame.key = nil
        guard case .scalar(let name, let quoted) = key.content else { return }
        if name == "<<", !quoted {
            mistakes.add(key, "Merge keys (<<) are not supported.", remedy: "Write the keys out.")
        } else if let first = frame.seen[name] {
            mistakes.add(
                key, "The key \(name.quoted) is already on line \(first).",
                remedy: "Keep one of the two.")
        } else {
            frame.seen[name] = key.line
            frame.entries.append(YAMLNode.Entry(key: key, value: node))
        }
    }

    // MARK: - Text

    private mutating func scalar(_ value: String, _ style: YAMLScalarStyle, _ event: YAMLEvent) -> YAMLNode {
        if style == .block {
            note(
                event, "\(snippet(event).quoted) is block text, which is not supported.",
                remedy: "Write the text on one line, in double quotes.")
            return node(.refused, event)
        }
        // A quoted text can contain an escaped character that is not allowed in the file: "\n", "\0", "\u202e".
        guard let unfit = value.unicodeScalars.first(where: { !$0.isFitForText }) else {
            return YAMLNode(
                content: .scalar(value, quoted: style == .quoted), line: event.start.line, column: event.start.column,
                text: value)
        }
        if (event.start.line...max(event.start.line, event.end.line)).allSatisfy({ !damaged.contains($0) }) {
            note(
                event, "\(value.quoted) contains the character \(unfit.codePoint).",
                remedy: "Control and invisible characters are not allowed: delete it.")
        }
        return node(.refused, event)
    }

    private mutating func refuseAnchorAndTag(_ event: YAMLEvent) {
        if event.hasAnchor {
            note(event, "\(snippet(event).quoted) has an anchor (&); anchors are not supported.", remedy: "Delete it.")
        }
        if event.hasTag {
            note(event, "\(snippet(event).quoted) has a tag (!); tags are not supported.", remedy: "Delete it.")
        }
    }

    // MARK: - Places

    private mutating func note(_ event: YAMLEvent, _ message: String, remedy: String? = nil) {
        mistakes.add(
            line: event.start.line, column: event.start.column, text: snippet(event), message, remedy: remedy)
    }

    private func node(_ content: YAMLNode.Content, _ event: YAMLEvent) -> YAMLNode {
        YAMLNode(content: content, line: event.start.line, column: event.start.column, text: snippet(event))
    }

    /// The text in the file where an event begins, up to its end or the end of the line.
    private func snippet(_ event: YAMLEvent) -> String {
        guard lines.indices.contains(event.start.line - 1) else { return "" }
        let line = lines[event.start.line - 1].unicodeScalars
        let isCollectionStart =
            switch event.kind {
            case .sequenceStart, .mappingStart: true
            default: false
            }
        let toLineEnd = isCollectionStart || event.end.line != event.start.line
        let upTo = toLineEnd ? line[...] : line.prefix(max(0, event.end.column - 1))
        return String(String.UnicodeScalarView(upTo.dropFirst(event.start.column - 1)))
    }
}
