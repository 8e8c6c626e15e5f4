import Netfilter

/// Which chains' counters are read where there are thousands of rules: those that a packet from outside comes to, but for
/// other programs' own chains.
///
/// What another program's long list decides is then seen by the packet, but not by name.
package struct CounterScope: Sendable {
    /// The kernel's own chains that hold or do something, by table.
    let hooks: [(table: String, chain: String)]
    /// Other programs' chains, by table.
    let unread: [String: Set<String>]

    /// With more rules than this, listing a few chains is faster than a dump.
    private static let many = 2_000

    /// The chains to read beside other programs' rules.
    ///
    /// It is nil where a dump of all rules is fast enough.
    ///
    /// - Parameters:
    ///   - existing: the rules that are there without the plan.
    ///   - planned: the rules of the plan.
    ///   - path: the packets' way.
    package init?(existing: RuleSet, planned: RuleSet, path: PacketPath = .incoming) {
        guard existing.tables.reduce(0, { $0 + $1.entries.count }) > Self.many else { return nil }
        let tables = existing.tables + planned.tables
        hooks = CountedRules.hooks(path).filter { name, hook in
            name == "filter"
                || tables.contains { table in
                    table.name == name && (table.chain(hook)?.policy == .drop || !table.rules(in: hook).isEmpty)
                }
        }
        var unread: [String: Set<String>] = [:]
        for table in existing.tables {
            let owned = Set(table.rules.filter(\.isOwned).map(\.chain))
            unread[table.name, default: []].formUnion(
                table.chains.filter { $0.policy == nil && !owned.contains($0.name) }.map(\.name))
        }
        for table in planned.tables { unread[table.name]?.subtract(table.chains.map(\.name)) }
        self.unread = unread
    }
}
