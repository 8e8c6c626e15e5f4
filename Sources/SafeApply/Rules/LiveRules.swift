import Host
import Netfilter

/// The kernel's rules of both families, through one backend's tools.
package struct LiveRules: Sendable {
    /// The tools; nil for a family that the kernel lacks.
    package private(set) var tools: PerFamily<IPTables>
    /// The sets that rules refer to; nil if ipset is not installed.
    package private(set) var sets: IPSets?
    let nft: String?
    let nsenter: String?
    private(set) var runner: any CommandRunner
    private let toolbox: Toolbox

    /// Finds the tools.
    ///
    /// - Parameters:
    ///   - backend: the backend; nil for the one that the system calls `iptables`.
    ///   - families: the families that the kernel has.
    ///   - toolbox: finds programs.
    ///   - runner: runs them.
    /// - Throws: `host` with `toolMissing` if they are not installed.
    package init(
        backend: Backend?, families: [Family], toolbox: Toolbox, runner: any CommandRunner
    ) async throws(ChangeError) {
        var tools = PerFamily<IPTables>()
        do {
            let chosen: Backend
            if let backend {
                chosen = backend
            } else {
                chosen = try await IPTables.backend(toolbox: toolbox, runner: runner)
            }
            for family in families {
                tools[family] = try await IPTables(
                    backend: chosen, family: family, toolbox: toolbox, runner: runner)
            }
        } catch { throw .host(error) }
        self.tools = tools
        self.toolbox = toolbox
        sets = IPSets(toolbox: toolbox, runner: runner)
        nft = toolbox.find("nft")
        nsenter = toolbox.find("nsenter")
        self.runner = runner
    }

    /// The same tools in a throwaway network, with the sets of this one, but empty.
    ///
    /// - Parameter sets: what `ipset save` prints here.
    /// - Returns: nil if the kernel does not allow such a network.
    func inThrowawayNetwork(sets: String) async -> LiveRules? {
        guard let nsenter, let network = try? ThrowawayNetwork() else { return nil }
        var there = self
        there.runner = network.runner(nsenter: nsenter, over: runner)
        for (family, tool) in tools.present { there.tools[family] = tool.run(by: there.runner) }
        there.sets = IPSets(toolbox: toolbox, runner: there.runner)
        let lines = sets.split(separator: "\n").filter { $0.hasPrefix("create ") }.map { "\($0)\n" }.joined()
        do { try await there.sets?.restoreMissing(lines) } catch { return nil }
        return there
    }

    /// The rules of one family, read from a fresh dump.
    ///
    /// - Throws: `unreadable` if iptables cannot print them; `host`; `badRules` if its output cannot be parsed.
    package func read(_ family: Family) async throws(ChangeError) -> RuleSet {
        guard let tool = tools[family] else { return RuleSet(tables: []) }
        let bytes: [UInt8]
        do { bytes = try await tool.dump() } catch .toolFailed(_, let status, let message) {
            throw .unreadable(
                family: family, tables: [],
                reason: "\(SecureFiles.name(of: tool.save)) ended with status \(status)"
                    + (message.isEmpty ? "." : ": \(Self.plain(message))."))
        } catch { throw .host(error) }
        do { return try RuleSet(dumped: DumpText.decode(bytes), file: tool.save) } catch { throw .badRules(error) }
    }

    /// With more rules than this, listing a few chains is faster than a dump.
    private static let many = 2_000

    /// Reads some chains again; with many rules, only those chains.
    ///
    /// - Parameters:
    ///   - chains: the chains, by table.
    ///   - known: the rules as last read; with many rules, the result takes other chains from here.
    ///   - family: the rules' family.
    /// - Returns: the rules.
    /// - Throws: as `read`.
    func reread(
        _ chains: [String: [String]], of known: RuleSet, _ family: Family
    ) async throws(ChangeError) -> RuleSet {
        guard let tool = tools[family], known.tables.reduce(0, { $0 + $1.entries.count }) > Self.many else {
            return try await read(family)
        }
        var rules = known
        for (name, chains) in chains.sorted(by: { $0.key < $1.key }) {
            for chain in chains {
                let listing: [UInt8]
                do { listing = try await tool.list(table: name, chain: chain) } catch {
                    // The chain is missing, or iptables cannot print the table: a dump shows which.
                    return try await read(family)
                }
                let table = rules[name] ?? Table(name, chains: [])
                guard let read = table.replacing(chain, listing: DumpText.decode(listing)) else {
                    return try await self.read(family)
                }
                rules[name] = read
            }
        }
        return rules
    }

    /// The rules of every family that the kernel has, without temporary entries, which no change concerns.
    ///
    /// - Throws: as `read`.
    package func readAll() async throws(ChangeError) -> PerFamily<RuleSet> {
        try await eachFamily(tools.present.map(\.family)) { family throws(ChangeError) in
            try await read(family).withoutTemporary
        }
    }

    /// Refuses rules that iptables could not print completely: an unreadable table is not an empty one.
    ///
    /// - Parameters:
    ///   - rules: the rules as they were read.
    ///   - family: the rules' family.
    ///   - tables: the tables to check; nil for all.
    ///   - allChains: whether all chains of these tables are checked, not only the built-in ones.
    /// - Throws: `unreadable`.
    package static func requireReadable(
        _ rules: RuleSet, _ family: Family, tables: [String]? = nil, allChains: Bool
    ) throws(ChangeError) {
        let hidden = rules.unreadableTables + (allChains ? rules.partlyReadTables : [])
        let names = hidden.filter { tables?.contains($0) ?? true }
        guard names.isEmpty else {
            throw .unreadable(
                family: family, tables: names, reason: "It contains rules made with nft that iptables cannot print.")
        }
    }

    /// Loads one family's input, one transaction for each table.
    ///
    /// - Throws: `host`.
    package func load(_ input: RestoreInput, _ family: Family) async throws(ChangeError) {
        guard let tool = tools[family], !input.text.isEmpty else { return }
        try await ChangeError.wrap { () async throws(HostError) in
            try await tool.restore(DumpText.bytes(input.text), flush: input.flush, counters: input.counters)
        }
    }

    /// Inserts a rule at the beginning of INPUT.
    ///
    /// - Throws: `host`.
    func insert(_ rule: [String], _ family: Family) async throws(ChangeError) {
        guard let tool = tools[family] else { return }
        try await ChangeError.wrap { () async throws(HostError) in try await tool.insert(rule, intoChain: "INPUT") }
    }

    /// A plan without empty tables that this kernel does not support.
    ///
    /// - Throws: `host`.
    package func supported(_ plan: RuleSet, _ family: Family) async throws(ChangeError) -> RuleSet {
        guard let tool = tools[family] else { return plan }
        var possible = plan
        for table in plan.tables where table.rules.isEmpty && table.name != "filter" {
            let name = table.name
            let exists = try await ChangeError.wrap { () async throws(HostError) in try await tool.has(table: name) }
            if !exists { possible[name] = nil }
        }
        return possible
    }

    /// Removes empty tables that a change created.
    ///
    /// Only nft can remove them; with legacy an empty table stays, which accepts everything. Errors are ignored.
    func removeEmptyTables(_ names: [String], _ family: Family) async {
        guard !names.isEmpty, tools[family]?.backend == .nft, let nft, let live = try? await read(family) else {
            return
        }
        // A table may contain chains that iptables does not print.
        let hidden = Set(live.partlyReadTables)
        for table in names.compactMap({ live[$0] })
        where !hidden.contains(table.name) && RuleSet(tables: [table]).normalized().tables.isEmpty {
            let words = ["delete", "table", family == .ipv4 ? "ip" : "ip6", table.name]
            _ = try? await runner.run(Command(nft, words))
        }
    }

    /// Runs code for several families: in parallel with nft, one after the other with legacy, whose families share a lock.
    ///
    /// - Parameters:
    ///   - families: the families.
    ///   - body: what to do for one of them.
    /// - Returns: the result of each.
    /// - Throws: the first error, after every family has been tried.
    package func eachFamily<Value: Sendable>(
        _ families: [Family], _ body: @escaping @Sendable (Family) async throws(ChangeError) -> Value
    ) async throws(ChangeError) -> PerFamily<Value> {
        var results: [(Family, Result<Value, ChangeError>)] = []
        if tools.present.first?.value.backend == .nft {
            results = await withTaskGroup(of: (Family, Result<Value, ChangeError>).self) { group in
                for family in families {
                    group.addTask {
                        do throws(ChangeError) { return (family, .success(try await body(family))) } catch {
                            return (family, .failure(error))
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
        } else {
            for family in families {
                do throws(ChangeError) { results.append((family, .success(try await body(family)))) } catch {
                    results.append((family, .failure(error)))
                }
            }
        }
        var values = PerFamily<Value>()
        for (family, result) in results.sorted(by: { $0.0 == .ipv4 && $1.0 == .ipv6 }) {
            values[family] = try result.get()
        }
        return values
    }

    /// iptables-restore's message on one line, without its own name, its hints, and its line number, which does not refer
    /// to a file that a person wrote.
    static func plain(_ message: String) -> String {
        let lines = message.split(whereSeparator: \.isNewline).filter { line in
            !line.hasPrefix("Error occurred at line") && !line.hasPrefix("Try `")
        }
        return lines.joined(separator: " ").replacing(#/^\S+ v\S+ \((nf_tables|legacy)\):\s+/#, with: "")
            .replacing(#/^line \d+: /#, with: "").replacing(#/\.$/#, with: "")
    }
}
