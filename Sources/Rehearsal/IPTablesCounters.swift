import Host
import Netfilter
import Synchronization

/// Reads the counters of iptables' rules again and again.
package final class IPTablesCounters: CounterSource {
    private let tools: [Family: IPTables]
    private let path: PacketPath
    private let scopes = Mutex<[Family: CounterScope]>([:])

    /// The families' counters.
    ///
    /// - Parameters:
    ///   - tools: the commands of one backend, run where the rules are.
    ///   - path: the packets' way.
    package init(_ tools: [Family: IPTables], path: PacketPath = .incoming) {
        self.tools = tools
        self.path = path
    }

    package var families: [Family] { Family.allCases.filter { tools[$0] != nil } }

    package var isShared: Bool { false }

    package func shows(_ chain: InputHookChain) async -> Bool {
        let tool = tools[chain.family == "ip6" ? .ipv6 : .ipv4]
        guard chain.isOfIPTables, let tool, tool.backend == .nft else { return false }
        // The rules of a change are in filter; without it there is no rehearsal. It may be long.
        if chain.table == "filter" { return true }
        return (try? await tool.list(table: chain.table, chain: chain.chain)) != nil
    }

    /// Limits the next readings to these chains; a family without a scope is read whole.
    package func look(at scopes: [Family: CounterScope]) { self.scopes.withLock { $0 = scopes } }

    package func read(_ family: Family) async throws -> CountedRules {
        guard let tool = tools[family] else { return CountedRules(chains: [], path: path) }
        return CountedRules(try await read(tool), path: path)
    }

    private func read(_ tool: IPTables) async throws -> RuleSet {
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
