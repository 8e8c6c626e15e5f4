/// One line inside a table: its meaning, and its original spelling if that differs from the printed form.
package struct Entry: Hashable, Sendable {
    /// The possible meanings of a line inside a table.
    package enum Statement: Hashable, Sendable {
        /// The declaration of a chain.
        case chain(Chain)
        /// A rule at the end of its chain.
        case rule(Rule)
        /// Another command, written by hand: `-I`, `-D`, `-F`, `-X`, `-P`, `-N`, `-E` ...
        case command([Word])
        /// A line without a meaning here: a comment with its `#`, an empty line, or one for the other family.
        case note(String)
    }

    /// The meaning of the line.
    package let statement: Statement
    /// The line as it was read, if it differs from `statement` as iptables-save prints it.
    let spelling: String?

    /// A line in its canonical spelling.
    package init(_ statement: Statement) {
        self.statement = statement
        spelling = nil
    }

    /// A line that was read.
    init(_ statement: Statement, readFrom line: ArraySlice<UInt8>) {
        var text = ""
        Self.write(statement, to: &text)
        self.init(statement, readFrom: line, isCanonical: text.utf8.elementsEqual(line))
    }

    /// A line that was read, if it is known whether iptables-save would print it like this.
    init(_ statement: Statement, readFrom line: ArraySlice<UInt8>, isCanonical: Bool) {
        self.statement = statement
        spelling = isCanonical ? nil : String(decoding: line, as: UTF8.self)
    }

    /// The line without its line end.
    package var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    /// Writes the line without its line end.
    func write(to text: inout String) {
        if let spelling { text += spelling } else { Self.write(statement, to: &text) }
    }

    private static func write(_ statement: Statement, to text: inout String) {
        switch statement {
        case .chain(let chain): text += chain.text
        case .rule(let rule): rule.write(to: &text)
        case .command(let words): words.write(to: &text)
        case .note(let line): text += line
        }
    }
}

/// One table of a rule set, with its lines in the order of the file.
package struct Table: Hashable, Sendable {
    /// The table's name: filter, nat, mangle, raw or security.
    package let name: String
    /// Every line between `*filter` and `COMMIT`.
    package private(set) var entries: [Entry]
    /// The spelling of the `*filter` and `COMMIT` lines, if they had trailing blanks.
    var spelling: String?

    /// A table with the given lines.
    package init(_ name: String, entries: [Entry]) {
        self.name = name
        self.entries = entries
    }

    /// A table with the given chains and rules, in iptables-save's order.
    package init(_ name: String, chains: [Chain], rules: [Rule] = []) {
        self.init(name, entries: chains.map { Entry(.chain($0)) } + rules.map { Entry(.rule($0)) })
    }

    /// The chains declared in the table.
    package var chains: [Chain] {
        entries.compactMap { if case .chain(let chain) = $0.statement { chain } else { nil } }
    }

    /// The rules at the ends of their chains, in the order of the file; a hand-written `-I` is not among them.
    package var rules: [Rule] {
        entries.compactMap { if case .rule(let rule) = $0.statement { rule } else { nil } }
    }

    /// The chain with that name, if the table declares it.
    package func chain(_ name: String) -> Chain? {
        for case .chain(let chain) in entries.reversed().lazy.map(\.statement) where chain.name == name { return chain }
        return nil
    }

    /// The rules of one chain, in order.
    package func rules(in chain: String) -> [Rule] {
        entries.compactMap { if case .rule(let rule) = $0.statement, rule.chain == chain { rule } else { nil } }
    }

    /// Whether the table contains commands that only people write (`-I`, `-D`, `-F` ...).
    package var hasCommands: Bool {
        entries.contains { if case .command = $0.statement { true } else { false } }
    }

    /// Adds a rule at the end of its chain.
    package mutating func append(_ rule: Rule) { entries.append(Entry(.rule(rule))) }
}
