import Host
import Netfilter
import Synchronization

/// Reads the counters of the rules again and again.
///
/// Where there are thousands of rules, it reads the kernel's own chains and latchkey's only, after a first look at all:
/// what another program's long list decides is then seen by the packet, but not by name.
final class CounterReader: Sendable {
    private struct Focus {
        var rules: RuleSet
        /// By table; nil for a whole dump each time.
        var chains: [(table: String, chain: String)]?
    }

    private let focus = Mutex<[String: Focus]>([:])

    /// How many rules make a dump slower than a look at a few chains.
    private static let many = 2_000

    /// Has the next look be at all rules: others may stand there by then.
    func forget() { focus.withLock { $0 = [:] } }

    /// The rules of a family with their counters.
    ///
    /// - Throws: `HostError`, `RuleSetError`.
    func read(_ tool: IPTables) async throws -> RuleSet {
        guard let known = focus.withLock({ $0[tool.save] }), let chains = known.chains else {
            let rules = try RuleSet(dumped: DumpText.decode(try await tool.dump()), file: tool.save)
            focus.withLock { $0[tool.save] = Focus(rules: rules, chains: Self.chains(of: rules)) }
            return rules
        }
        var rules = known.rules
        for (name, chain) in chains {
            let listing = DumpText.decode(try await tool.list(table: name, chain: chain))
            if let table = rules[name]?.replacing(chain, listing: listing) { rules[name] = table }
        }
        return rules
    }

    private static func chains(of rules: RuleSet) -> [(table: String, chain: String)]? {
        guard rules.tables.reduce(0, { $0 + $1.entries.count }) > many else { return nil }
        return rules.tables.flatMap { table in
            let filled = Dictionary(grouping: table.rules, by: \.chain)
            return table.chains.filter { chain in
                let own = filled[chain.name] ?? []
                return chain.policy != nil ? table.name == "filter" || !own.isEmpty : own.contains(where: \.isOwned)
            }.map { (table.name, $0.name) }
        }
    }
}
