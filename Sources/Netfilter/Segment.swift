/// An option at the end of a line that needs a value.
struct MissingValue: Error {
    let option: Word
}

/// The words of one match, or of the target and everything after it.
struct Segment {
    enum Kind {
        case match
        case target
    }

    let kind: Kind
    let words: ArraySlice<Word>

    /// How an option of a rule affects the grouping of its words.
    private enum Option {
        /// One of iptables' own options, with one value.
        case valued
        /// `-f`, which has no value.
        case fragment
        /// `-m`: its value and what follows belong to an extension.
        case match
        /// The target: the rest of the line belongs to it.
        case target
        /// An option of an extension, whose value is free text and may therefore look like an option.
        case freeText
        /// Anything else belongs to an extension.
        case other

        /// Whether iptables itself knows it.
        var isCore: Bool {
            switch self {
            case .valued, .fragment, .match, .target: true
            case .freeText, .other: false
            }
        }

        init(_ word: Word) {
            // Most words are not options.
            guard word.value.utf8.first == Ascii.dash else {
                self = .other
                return
            }
            switch word.value {
            case "-s", "-d", "-i", "-o", "-p": self = .valued
            case "-m": self = .match
            case "-j", "-g": self = .target
            case "-f": self = .fragment
            default: self = Self.long[word.value] ?? .other
            }
        }

        private static let long: [String: Option] = [
            "--source": .valued, "--src": .valued, "--destination": .valued, "--dst": .valued,
            "--in-interface": .valued, "--out-interface": .valued, "--protocol": .valued, "--proto": .valued,
            "--fragment": .fragment, "--match": .match, "--jump": .target, "--goto": .target,
            "--comment": .freeText, "--log-prefix": .freeText, "--nflog-prefix": .freeText, "--string": .freeText,
            "--hex-string": .freeText, "--cmd-owner": .freeText, "--helper": .freeText,
        ]
    }

    /// Splits the words of a rule at iptables' own options.
    ///
    /// The words are only grouped, never changed or moved: joined again they are the same line, even if a group was
    /// guessed wrong.
    static func split(_ words: ArraySlice<Word>) throws(MissingValue) -> [Segment] {
        var segments: [Segment] = []
        segments.reserveCapacity(6)
        var rest = words
        while let first = rest.first {
            let isNegated = first.value == "!"
            let word = isNegated ? rest.dropFirst().first ?? first : first
            let option = Option(word)
            let head = min(isNegated ? 2 : 1, rest.count)
            if option == .target {
                guard rest.count > head else { throw MissingValue(option: word) }
                segments.append(Segment(kind: .target, words: rest))
                return segments
            }
            var length = head
            if option == .valued || option == .match {
                guard rest.count > head else { throw MissingValue(option: word) }
                length += 1
            }
            if option != .valued, option != .fragment {
                length += extensionLength(rest.dropFirst(length), after: option)
            }
            segments.append(Segment(kind: .match, words: rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return segments
    }

    /// The number of words of one of iptables' own options at the beginning of these, including a leading `!`.
    ///
    /// - Returns: 0 where an extension or the target begins.
    static func ownLength(_ words: ArraySlice<Word>) -> Int {
        let head = words.first?.value == "!" ? 1 : 0
        switch words.dropFirst(head).first.map(Option.init) {
        case .valued: return min(head + 2, words.count)
        case .fragment: return head + 1
        case .match, .target, .freeText, .other, nil: return 0
        }
    }

    /// The number of words that belong to an extension before iptables' next own option.
    private static func extensionLength(_ words: ArraySlice<Word>, after option: Option) -> Int {
        var index = words.startIndex
        if option == .freeText, index < words.endIndex { index += 1 }
        while index < words.endIndex {
            let next = Option(words[index])
            if next.isCore { break }
            if words[index].value == "!", index + 1 < words.endIndex, Option(words[index + 1]).isCore { break }
            index += next == .freeText ? 2 : 1
        }
        return min(index, words.endIndex) - words.startIndex
    }
}
