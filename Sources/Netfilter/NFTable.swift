/// A table of nf_tables, as nft(8) lists it.
///
/// The lines are nft's own: they are compared, moved and given back, and not interpreted further.
package struct NFTable: Sendable, Equatable {
    /// The family and name of a table, such as `inet latchkey`.
    package struct Name: Hashable, Comparable, Sendable, CustomStringConvertible {
        /// `inet`, `ip`, `ip6` and so on (nft(8), "Address families").
        package let family: String
        /// The table's own name.
        package let name: String

        /// A name.
        package init(_ family: String, _ name: String) {
            self.family = family
            self.name = name
        }

        package var description: String { "\(family) \(name)" }

        package static func < (left: Name, right: Name) -> Bool { left.description < right.description }

        /// The table that holds latchkey's rules.
        package static let latchkey = Name("inet", "latchkey")
    }

    /// A part of a table: a chain, a set, a map, or another object with a name.
    package struct Part: Sendable, Equatable {
        /// `chain`, `set`, `map`, `counter`, `ct helper` and so on.
        package var kind: String
        /// Its name.
        package var name: String
        /// Its lines, without the tabs at their beginning that all lines of parts share.
        package var lines: [String]

        /// A part.
        package init(_ kind: String, _ name: String, lines: [String]) {
            self.kind = kind
            self.name = name
            self.lines = lines
        }
    }

    /// Its family and name.
    package var id: Name
    /// Its own lines, such as `flags dormant`.
    package var lines: [String]
    /// Its parts, in the order of the listing.
    package var parts: [Part]

    /// A table.
    package init(_ id: Name, lines: [String] = [], parts: [Part] = []) {
        self.id = id
        self.lines = lines
        self.parts = parts
    }

    /// The part of a kind and name; nil if there is none.
    package func part(_ kind: String, _ name: String) -> Part? { parts.first { $0.kind == kind && $0.name == name } }

    /// The chains.
    package var chains: [Part] { parts.filter { $0.kind == "chain" } }

    /// The text for `nft -f`.
    package var text: String {
        let inner = lines.map { "\t\($0)\n" } + parts.map(\.text)
        return "table \(id) {\n\(inner.joined(separator: ""))}\n"
    }

    // MARK: - Reading

    /// The tables in a listing of nft, or in a text of the same form.
    ///
    /// - Parameter listing: what `nft list ruleset` or `nft list table` prints.
    /// - Returns: the tables, in order.
    /// - Throws: `NFTableError` with the first line that has another form.
    package static func tables(in listing: String) throws(NFTableError) -> [NFTable] {
        var tables: [NFTable] = []
        var part: Part?
        var isOpen = false
        for (index, line) in listing.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            func bad() -> NFTableError { NFTableError(line: index + 1, text: String(line)) }
            // Above the tables of iptables-nft, nft prints warnings as comments.
            if line.allSatisfy(\.isWhitespace) || (!isOpen && line.hasPrefix("#")) { continue }
            if !isOpen {
                guard let name = tableName(line) else { throw bad() }
                // A text may open the same table again.
                if let place = tables.firstIndex(where: { $0.id == name }) {
                    tables.append(tables.remove(at: place))
                } else {
                    tables.append(NFTable(name))
                }
                isOpen = true
            } else if part != nil {
                if line == "\t}" {
                    tables[tables.count - 1].parts += [part].compactMap(\.self)
                    part = nil
                } else {
                    guard line.hasPrefix("\t\t") else { throw bad() }
                    // In place: a set may have a million lines.
                    part?.lines.append(String(line.dropFirst(2)))
                }
            } else if line == "}" {
                isOpen = false
            } else {
                guard line.hasPrefix("\t"), !line.hasPrefix("\t\t") else { throw bad() }
                let words = line.dropFirst().split(separator: " ")
                if line.hasSuffix(" {"), words.count > 2 {
                    part = Part(words.dropLast(2).joined(separator: " "), String(words[words.count - 2]), lines: [])
                } else if line.hasSuffix("{") {
                    throw bad()
                } else {
                    tables[tables.count - 1].lines.append(String(line.dropFirst()))
                }
            }
        }
        guard !isOpen else { throw NFTableError(line: listing.count { $0 == "\n" } + 1, text: "") }
        return tables
    }

    /// The name in a line such as `table inet filter {`; the program that owns the table may follow as a comment.
    private static func tableName(_ line: Substring) -> Name? {
        let words = line.split(separator: " ")
        guard words.count >= 4, words[0] == "table", words[3] == "{" else { return nil }
        guard words.count == 4 || words[4].hasPrefix("#") else { return nil }
        return Name(String(words[1]), String(words[2]))
    }
}

/// A line that is not in the form of nft's listings.
package struct NFTableError: Error, Equatable, CustomStringConvertible {
    /// The line's number, from 1.
    package let line: Int
    /// The line.
    package let text: String

    /// An error.
    package init(line: Int, text: String) {
        self.line = line
        self.text = text
    }

    package var description: String { "line \(line) is not in the form of nft's listings: \(text.quoted(limit: 120))" }
}

extension NFTable.Part {
    /// The text inside its table.
    package var text: String { "\t\(kind) \(name) {\n" + lines.map { "\t\t\($0)\n" }.joined() + "\t}\n" }

    /// A chain's lines that are not rules: its comment, and the type, hook, priority and policy of a base chain.
    package var header: [String] { kind == "chain" ? Array(lines.prefix { Self.isHeader($0) }) : lines }

    /// A chain's rules.
    package var rules: [String] { kind == "chain" ? Array(lines.drop { Self.isHeader($0) }) : [] }

    private static func isHeader(_ line: String) -> Bool {
        line.hasPrefix("comment \"") || (line.hasPrefix("type ") && line.contains(" hook "))
    }

    /// Where the kernel calls a base chain, such as `type filter hook input priority filter`; nil for other chains.
    package var hook: String? {
        guard kind == "chain", let line = header.first(where: { $0.hasPrefix("type ") }) else { return nil }
        return String(line.prefix { $0 != ";" })
    }

    /// Whether the kernel calls it for packets to this machine: a filter chain at the hook `input`.
    package var isInput: Bool { hook?.hasPrefix("type filter hook input ") ?? false }

    /// A base chain's policy; accept unless it is drop.
    package var policy: ChainPolicy { header.contains { $0.contains("policy drop;") } ? .drop : .accept }

    /// The base chain with another policy and other rules.
    package func with(policy: ChainPolicy, rules: [String]) -> NFTable.Part {
        let head = header.map { line in
            guard let hook, line.hasPrefix(hook) else { return line }
            return "\(hook); policy \(policy == .drop ? "drop" : "accept");"
        }
        return NFTable.Part(kind, name, lines: head + rules)
    }

    /// Its lines for a comparison: without the elements of a set that the kernel itself adds to or removes from.
    package var lasting: [String] {
        isChangingSet ? withoutElements.lines : lines
    }

    /// Whether it is a set or map whose elements the kernel itself adds or removes.
    var isChangingSet: Bool {
        guard kind != "chain" else { return false }
        return lines.prefix { !$0.hasPrefix("elements = ") }.contains { $0.hasPrefix("flags ") && $0.isChanging }
    }
}

extension String {
    /// Whether the flags of a set say that its elements come and go.
    fileprivate var isChanging: Bool { contains("timeout") || contains("dynamic") }
}

extension NFTable {
    /// The lines that differ between two tables, for a person: `-` for lines that go, `+` for lines that come, each with
    /// the part that it belongs to.
    ///
    /// - Parameters:
    ///   - before: the first table; nil if there is none.
    ///   - after: the second table; nil if there is none.
    /// - Returns: the lines; empty if the tables are the same.
    package static func differences(from before: NFTable?, to after: NFTable?) -> [String] {
        guard let id = (after ?? before)?.id else { return [] }
        let (old, new) = (before?.titledLines ?? [], after?.titledLines ?? [])
        return new.difference(from: old).sorted { Self.place($0) < Self.place($1) }.map { change in
            switch change {
            case .remove(_, let line, _): "-\(id) \(line)"
            case .insert(_, let line, _): "+\(id) \(line)"
            }
        }
    }

    private static func place(_ change: CollectionDifference<String>.Change) -> Int {
        switch change {
        case .remove(let offset, _, _): offset * 2
        case .insert(let offset, _, _): offset * 2 + 1
        }
    }

    private var titledLines: [String] {
        parts.flatMap { part in part.lines.map { "\(part.name) \($0)" } }
    }
}
