import Netfilter

extension NFTable {
    /// What is left of a table when kept rules go.
    ///
    /// - Parameter kept: the recorded content of the table.
    /// - Returns: the table with what others have added to it since; without parts if nothing is left.
    package func removing(_ kept: NFTable) -> NFTable {
        // latchkey's own table is no place for other rules.
        guard id != .latchkey else { return NFTable(id) }
        var left = parts.map { part in
            guard part.kind == "chain", let record = kept.part(part.kind, part.name) else { return part }
            let rules = Set(record.rules)
            return part.with(
                policy: record.policy == .drop ? .accept : part.policy, rules: part.rules.filter { !rules.contains($0) }
            )
        }
        // What the record names goes, unless a rule that stays needs it; a chain that goes may have named another one.
        while let place = left.firstIndex(where: { part in
            kept.part(part.kind, part.name) != nil && part.rules.isEmpty
                && !left.contains { $0.name != part.name && $0.names(part) }
        }) {
            left.remove(at: place)
        }
        return left.isEmpty ? NFTable(id) : NFTable(id, lines: lines, parts: left)
    }
}

extension NFTable.Part {
    /// Whether one of its lines names another part.
    fileprivate func names(_ other: NFTable.Part) -> Bool {
        lines.contains { line in
            let words = line.split { " ,{};:()".contains($0) }
            switch other.kind {
            case "chain":
                return zip(words, words.dropFirst()).contains { ["jump", "goto"].contains($0) && $1 == other.name }
            case "set", "map": return words.contains { $0 == "@\(other.name)" }
            default: return words.contains { $0 == other.name || $0 == "\"\(other.name)\"" }
            }
        }
    }
}
