/// The rules of one family, as iptables-save prints them and iptables-restore reads them.
///
/// A rule set that was read is written back byte for byte, until it is edited.
package struct RuleSet: Hashable, Sendable {
    /// A table, or a line between two tables: a comment with its `#`, or an empty line.
    enum Part: Hashable, Sendable {
        case table(Table)
        case note(String)
    }

    var parts: [Part]
    /// False for a file whose last line lacks its newline.
    var endsInNewline = true

    /// A rule set with the given tables.
    package init(tables: [Table] = []) {
        parts = tables.map { .table($0) }
    }

    /// The tables in the order of the file.
    package var tables: [Table] {
        parts.compactMap { if case .table(let table) = $0 { table } else { nil } }
    }

    /// The table of that name.
    ///
    /// Setting a table that does not exist adds it at the end; nil removes it.
    /// A hand-written file may contain a table twice: the last one counts, because iptables-restore flushes a table
    /// each time it occurs.
    package subscript(name: String) -> Table? {
        get { tables.last { $0.name == name } }
        set {
            let place = parts.lastIndex { if case .table(let table) = $0 { table.name == name } else { false } }
            switch (place, newValue) {
            case (let place?, let table?): parts[place] = .table(table)
            case (let place?, nil): parts.remove(at: place)
            case (nil, let table?): parts.append(.table(table))
            case (nil, nil): break
            }
        }
    }

    /// The same rule set with each table changed; the lines between them stay.
    package func mapTables(_ change: (Table) -> Table) -> RuleSet {
        var changed = self
        changed.parts = parts.map { part in
            switch part {
            case .table(let table): .table(change(table))
            case .note: part
            }
        }
        return changed
    }

    /// The tables that iptables-nft could not print because they contain nft rules that iptables does not support.
    ///
    /// It reports this in a comment line and omits the table; a snapshot of such a machine is incomplete.
    package var unreadableTables: [String] { tables(saidTo: "is incompatible") }

    /// The tables that iptables-nft printed without their chains that iptables does not support.
    ///
    /// Their other chains are complete, but such a table could not be restored after it is flushed.
    package var partlyReadTables: [String] { tables(saidTo: "contains incompatible") }

    private func tables(saidTo what: String) -> [String] {
        parts.compactMap { part in
            guard case .note(let line) = part, line.hasPrefix("# Table `"), line.contains("' \(what)") else {
                return nil
            }
            return line.dropFirst("# Table `".count).split(separator: "'").first.map { String($0) }
        }
    }
}
