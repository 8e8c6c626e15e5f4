import Netfilter

/// The step from a trial to the permanent rules of one table, in one transaction; also its rollback.
///
/// The table's chains are emptied and filled again; the parts of the trial and its gates stay. Sets that are already as
/// they should be are not touched, however large they are.
struct TableEdit {
    /// The wanted table; without parts, there should be none.
    let wanted: NFTable
    /// The trial.
    let trial: TableTrial

    /// The text that loads it.
    ///
    /// - Parameter live: the table as it is now; nil if there is none.
    /// - Returns: the text for nft(8).
    func loading(over live: NFTable?) -> String {
        let id = wanted.id
        guard !wanted.parts.isEmpty else { return live == nil ? "" : "delete table \(id)\n" }
        let present = live?.withoutTrial.withoutTemporary ?? NFTable(id)
        let isWanted = { (part: NFTable.Part) -> Bool in
            guard let same = wanted.part(part.kind, part.name) else { return false }
            return part.kind == "chain" ? part.hook == same.hook : part.lasting == same.lasting
        }
        // The trial's own set may have the name of a set that comes back.
        let gone = present.parts.filter { !isWanted($0) && !isOfTrial($0) }
        var lines = present.chains.map { "flush chain \(id) \($0.name)" }
        // Maps lead to chains.
        lines += gone.filter { $0.kind != "chain" }.map { "delete \($0.kind) \(id) \($0.name)" }
        lines += gone.filter { $0.kind == "chain" }.map { "delete chain \(id) \($0.name)" }
        let kept = Set(present.parts.filter { isWanted($0) && $0.kind != "chain" }.map(\.name))
        let block = NFTable(
            id, lines: wanted.lines, parts: wanted.parts.filter { $0.kind == "chain" || !kept.contains($0.name) })
        let bases = Set(wanted.chains.filter { $0.hook != nil }.map(\.name))
        let gates = trial.gates.sorted { $0.key < $1.key }.filter { bases.contains($0.key) && hasGateSet(live) }
        // What led to temporary entries was flushed with its chain; they are ahead of the gate too.
        let led = bases.sorted().filter { live?.placeOfTemporaryJump(in: $0) != nil }
        return lines.map { "\($0)\n" }.joined() + block.text
            + gates.map { "insert rule \(id) \($0.key) \($0.value)\n" }.joined()
            + led.map { "insert rule \(id) \($0) \(TemporaryParts.tableJump)\n" }.joined()
    }

    /// How a table differs from the wanted one, apart from a trial; empty if it does not.
    func differences(_ live: NFTable?) -> [String] {
        let present = live?.withoutTrial.withoutTemporary ?? NFTable(wanted.id)
        let parts = present.parts.filter { !isOfTrial($0) }
        let missing = wanted.parts.filter { part in !parts.contains { $0.isLike(part) } }
        let strange = parts.filter { part in !wanted.parts.contains { $0.isLike(part) } }
        let names = Set((missing + strange).map { "\($0.kind) \($0.name)" }).sorted()
        return names.map { "table \(wanted.id) does not contain the \($0) that was loaded into it" }
    }

    /// Whether a part is only there for the trial: in a rollback, a set of the plan that its rules still look into.
    private func isOfTrial(_ part: NFTable.Part) -> Bool {
        wanted.part(part.kind, part.name) == nil
            && (trial.parts.contains { $0.isLike(part) }
                || trial.made.contains { $0.kind == part.kind && $0.name == part.name })
    }

    private func hasGateSet(_ live: NFTable?) -> Bool { live?.part("set", TableTrial.set.name) != nil }
}

extension NFTable.Part {
    fileprivate func isLike(_ other: NFTable.Part) -> Bool {
        kind == other.kind && name == other.name && lasting == other.lasting
    }
}
