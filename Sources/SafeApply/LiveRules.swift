import Host
import Netfilter

/// The kernel's rules of both families, through one backend's tools.
package struct LiveRules: Sendable {
    /// The tools; a family that the kernel lacks has none.
    package let tools: PerFamily<IPTables>
    /// The sets that rules refer to; nil where ipset is not installed.
    package let sets: IPSets?
    private let nft: String?
    private let runner: any CommandRunner

    /// Finds the tools.
    ///
    /// - Parameters:
    ///   - backend: nil takes what the system calls `iptables`.
    ///   - families: the families that the kernel has.
    ///   - toolbox: where programs lie.
    ///   - runner: runs them.
    /// - Throws: `host` with `toolMissing` where they are not installed.
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
                    backend: chosen, isIPv6: family == .ipv6, toolbox: toolbox, runner: runner)
            }
        } catch { throw .host(error) }
        self.tools = tools
        sets = IPSets(toolbox: toolbox, runner: runner)
        nft = toolbox.find("nft")
        self.runner = runner
    }

    /// The text of all tables, with counters.
    ///
    /// - Throws: `host`; `badRules` when iptables prints what cannot be read back.
    package func dump() async throws(ChangeError) -> PerFamily<String> {
        let rules = try await readAll()
        return PerFamily(ipv4: rules.ipv4?.text, ipv6: rules.ipv6?.text)
    }

    /// The rules of one family, read from a fresh dump.
    ///
    /// - Throws: `host`; `badRules` when iptables prints what cannot be read back.
    package func read(_ family: Family) async throws(ChangeError) -> RuleSet {
        guard let tool = tools[family] else { return RuleSet(tables: []) }
        let bytes = try await ChangeError.wrap { () async throws(HostError) in try await tool.dump() }
        do { return try RuleSet(dumped: DumpText.decode(bytes), file: tool.save) } catch { throw .badRules(error) }
    }

    /// The rules of every family that the kernel has.
    ///
    /// - Throws: as `read`.
    package func readAll() async throws(ChangeError) -> PerFamily<RuleSet> {
        var rules = PerFamily<RuleSet>()
        for (family, _) in tools.present { rules[family] = try await read(family) }
        return rules
    }

    /// Loads one family's input, one transaction a table.
    ///
    /// - Throws: `host`.
    package func load(_ input: RestoreInput, _ family: Family) async throws(ChangeError) {
        guard let tool = tools[family] else { return }
        try await ChangeError.wrap { () async throws(HostError) in
            try await tool.restore(DumpText.bytes(input.text), flush: input.flush, counters: input.counters)
        }
    }

    /// Puts one rule ahead of all others in INPUT.
    ///
    /// - Throws: `host`.
    func insert(_ rule: [String], _ family: Family) async throws(ChangeError) {
        guard let tool = tools[family] else { return }
        try await ChangeError.wrap { () async throws(HostError) in try await tool.insert(rule, intoChain: "INPUT") }
    }

    /// Asks the tool whether it understands an input, without loading it: a table at a time, as the nft tool wants.
    ///
    /// - Throws: `host` with `rulesRefused`.
    package func test(_ input: RestoreInput, _ family: Family) async throws(ChangeError) {
        guard let tool = tools[family] else { return }
        for table in Self.tables(in: input.text) {
            try await ChangeError.wrap { () async throws(HostError) in
                try await tool.restore(
                    DumpText.bytes(table), flush: input.flush, counters: input.counters, testOnly: true)
            }
        }
    }

    /// A plan without the tables that it leaves empty and this kernel does not have.
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

    /// Takes away tables that came with a change and hold nothing any more, so that no trace of it is left.
    ///
    /// Only nft can; with legacy an empty table stays, which accepts everything. Trouble is of no consequence.
    func removeEmptyTables(_ names: [String], _ family: Family) async {
        guard !names.isEmpty, tools[family]?.backend == .nft, let nft, let live = try? await read(family) else {
            return
        }
        // A table may hold chains that iptables does not print.
        let hidden = Set(live.partlyReadTables)
        for table in names.compactMap({ live[$0] })
        where !hidden.contains(table.name) && RuleSet(tables: [table]).normalized().tables.isEmpty {
            let words = ["delete", "table", family == .ipv4 ? "ip" : "ip6", table.name]
            _ = try? await runner.run(Command(nft, words))
        }
    }

    /// The text of each table of a restore input, by itself; the lines of the others are left empty, so that a
    /// complaint names the line of the whole.
    static func tables(in text: String) -> [String] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let starts = lines.indices.filter { lines[$0].hasPrefix("*") }
        return starts.enumerated().map { number, start in
            let end = number + 1 < starts.count ? starts[number + 1] : lines.count
            return String(repeating: "\n", count: start) + lines[start..<end].joined(separator: "\n") + "\n"
        }
    }
}
