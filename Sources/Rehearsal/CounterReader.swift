import Host
import Netfilter
import Synchronization

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
    package init?(existing: RuleSet, planned: RuleSet) {
        guard existing.tables.reduce(0, { $0 + $1.entries.count }) > Self.many else { return nil }
        let tables = existing.tables + planned.tables
        hooks = CounterDifference.hooks.filter { name, hook in
            name == CounterDifference.last
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

/// Reads the counters of the rules again and again.
final class CounterReader: Sendable {
    private let scopes = Mutex<[Family: CounterScope]>([:])

    /// Limits the next readings to these chains; a family without a scope is read whole.
    func look(at scopes: [Family: CounterScope]) { self.scopes.withLock { $0 = scopes } }

    /// The rules of a family with their counters.
    ///
    /// - Throws: `HostError`, `RuleSetError`.
    func read(_ tool: IPTables) async throws -> RuleSet {
        guard let scope = scopes.withLock({ $0[tool.family] }) else {
            return try RuleSet(dumped: DumpText.decode(try await tool.dump()), file: tool.save)
        }
        var rules = RuleSet(tables: [])
        for (name, hook) in scope.hooks {
            var table = rules[name] ?? Table(name, chains: [])
            var seen = scope.unread[name] ?? []
            var open = [hook]
            while let chain = open.popLast() {
                guard seen.insert(chain).inserted else { continue }
                guard let listing = try await listing(tool, name, chain, mayLack: chain != hook),
                    let read = table.replacing(chain, listing: listing)
                else { continue }
                table = read
                open += read.rules(in: chain).compactMap(\.jumpsTo)
            }
            rules[name] = table
        }
        return rules
    }

    /// One chain; nil where what a rule jumps to is a target that this program does not know, and no chain.
    private func listing(
        _ tool: IPTables, _ table: String, _ chain: String, mayLack: Bool
    ) async throws(HostError) -> String? {
        do throws(HostError) { return DumpText.decode(try await tool.list(table: table, chain: chain)) } catch {
            guard mayLack, case .toolFailed = error else { throw error }
            return nil
        }
    }
}
