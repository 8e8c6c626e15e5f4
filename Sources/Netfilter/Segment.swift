/// An option at the end of a line that needs a value.
struct MissingValue: Error {
    let option: Word
}

/// The words of one match, or of the target with all that follows it.
struct Segment {
    enum Kind {
        case match
        case target
    }

    let kind: Kind
    let words: [Word]

    /// iptables' own options that take one value; everything else belongs to an extension.
    private static let valued: Set<String> = [
        "-s", "--source", "--src", "-d", "--destination", "--dst", "-i", "--in-interface", "-o", "--out-interface",
        "-p", "--protocol", "--proto",
    ]
    private static let fragment: Set<String> = ["-f", "--fragment"]
    private static let match: Set<String> = ["-m", "--match"]
    private static let target: Set<String> = ["-j", "--jump", "-g", "--goto"]
    private static let core = valued.union(fragment).union(match).union(target)

    /// Extensions' options whose value is free text and may therefore look like an option.
    private static let freeText: Set<String> = [
        "--comment", "--log-prefix", "--nflog-prefix", "--string", "--hex-string", "--cmd-owner", "--helper",
    ]

    /// Splits the words of a rule at iptables' own options.
    ///
    /// The words are only grouped, never changed or moved: joined again they are the line, even where a group was
    /// guessed wrong.
    static func split(_ words: ArraySlice<Word>) throws(MissingValue) -> [Segment] {
        var segments: [Segment] = []
        var rest = words
        while let first = rest.first {
            let option = first.value == "!" ? rest.dropFirst().first ?? first : first
            let head = min(first.value == "!" ? 2 : 1, rest.count)
            if target.contains(option.value) {
                guard rest.count > head else { throw MissingValue(option: option) }
                segments.append(Segment(kind: .target, words: Array(rest)))
                return segments
            }
            var length = head
            if valued.contains(option.value) || match.contains(option.value) {
                guard rest.count > head else { throw MissingValue(option: option) }
                length += 1
            }
            if !valued.contains(option.value), !fragment.contains(option.value) {
                length += extensionLength(rest.dropFirst(length), after: option)
            }
            segments.append(Segment(kind: .match, words: Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        }
        return segments
    }

    /// How many words belong to an extension before iptables' next own option.
    private static func extensionLength(_ words: ArraySlice<Word>, after option: Word) -> Int {
        var index = words.startIndex
        if freeText.contains(option.value), index < words.endIndex { index += 1 }
        while index < words.endIndex {
            let value = words[index].value
            if core.contains(value) { break }
            if value == "!", index + 1 < words.endIndex, core.contains(words[index + 1].value) { break }
            index += freeText.contains(value) ? 2 : 1
        }
        return min(index, words.endIndex) - words.startIndex
    }
}
