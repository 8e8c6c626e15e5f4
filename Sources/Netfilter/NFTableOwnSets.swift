// latchkey's own sets of addresses, which may be large.
extension NFTable.Part {
    /// The prefix of the names of latchkey's sets; a digest of the addresses follows.
    package static let ownSetPrefix = "latchkey-"

    /// The prefix of the names of parts that exist only while a change is pending.
    package static let trialPrefix = "trial-"

    /// How the first line with elements begins.
    private static let elementsMark = "elements = {"

    /// Whether it is one of latchkey's sets of addresses.
    package var isOwnSet: Bool {
        kind == "set" && (name.hasPrefix(Self.ownSetPrefix) || name.hasPrefix(Self.trialPrefix + Self.ownSetPrefix))
    }

    /// The same part without the elements of a set.
    package var withoutElements: NFTable.Part {
        NFTable.Part(kind, name, lines: Array(lines.prefix { !$0.hasPrefix(Self.elementsMark) }))
    }

    /// The elements of a set of addresses, as nft(8) writes them; nil for elements that are more than addresses, such as
    /// those with a comment.
    package var addressElements: [Substring]? {
        guard let first = lines.firstIndex(where: { $0.hasPrefix(Self.elementsMark) }) else { return [] }
        var elements: [Substring] = []
        var isClosed = false
        for (index, line) in lines[first...].enumerated() {
            guard !isClosed else { return nil }
            let text = index == 0 ? line.dropFirst(Self.elementsMark.count) : line[...]
            var body = Self.trimmed(text.utf8)
            if body.last == UInt8(ascii: "}") {
                isClosed = true
                body.removeLast()
            }
            for item in body.split(separator: Ascii.comma) {
                let element = Self.trimmed(item)
                guard element.allSatisfy(Self.isOfAddress) else { return nil }
                if !element.isEmpty { elements.append(Substring(element)) }
            }
        }
        return isClosed ? elements : nil
    }

    /// The text without the white space around it.
    private static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
        var text = text.drop(while: isSpace)
        while let last = text.last, isSpace(last) { text.removeLast() }
        return text
    }

    /// The same set with these elements, each on a line.
    package func with(elements: some Collection<Substring>) -> NFTable.Part {
        var part = withoutElements
        guard !elements.isEmpty else { return part }
        part.lines.reserveCapacity(part.lines.count + elements.count)
        let last = elements.count - 1
        for (index, element) in elements.enumerated() {
            // Aligned as in nft's listings.
            let start = index == 0 ? "\(Self.elementsMark) " : "\t     "
            part.lines.append(start + element + (index == last ? " }" : ","))
        }
        return part
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == Ascii.newline || Ascii.isBlank(byte) }

    /// Digits of IPv4 and IPv6 addresses, and the signs in networks and ranges.
    private static func isOfAddress(_ byte: UInt8) -> Bool {
        Ascii.isHexDigit(byte) || [Ascii.dot, Ascii.colon, Ascii.slash, Ascii.dash].contains(byte)
    }
}

extension NFTable {
    /// The same table with the elements of latchkey's own sets each on a line, however nft(8) arranged them.
    package var withElementsInLines: NFTable {
        var table = self
        table.parts = parts.map { part in
            guard part.isOwnSet, let elements = part.addressElements else { return part }
            return part.with(elements: elements)
        }
        return table
    }

    /// The text for `nft -f` with the elements of latchkey's own sets on one line: it is half as long, and reading it
    /// from JSON takes a tenth of the time, because it has few line ends and tabs to escape.
    package var compactText: String {
        var table = self
        table.parts = parts.map { part in
            guard part.isOwnSet, let elements = part.addressElements, !elements.isEmpty else { return part }
            var line = "elements = { "
            for (index, element) in elements.enumerated() { line += (index == 0 ? "" : ", ") + element }
            return Part(part.kind, part.name, lines: part.withoutElements.lines + [line + " }"])
        }
        return table.text
    }

    /// The same table with latchkey's own sets empty.
    package var withEmptyOwnSets: NFTable {
        var table = self
        table.parts = parts.map { $0.isOwnSet ? $0.withoutElements : $0 }
        return table
    }

    /// A table that was listed without the elements of sets, with those of latchkey's own sets from elsewhere.
    ///
    /// - Parameter known: sets with their elements.
    /// - Returns: the table; nil if it has a set or another object whose content is neither known nor without meaning.
    package func filled(from known: [Part]) -> NFTable? {
        var table = self
        table.parts = []
        for part in parts {
            if part.kind == "chain" || part.isChangingSet {
                table.parts.append(part)
            } else if part.isOwnSet, let same = known.first(where: { $0.isOwnSet && $0.name == part.name }),
                same.withoutElements == part
            {
                table.parts.append(same)
            } else {
                return nil
            }
        }
        return table
    }
}
