import Host
import Netfilter
import Rehearsal
import SafeApply

/// All active rules of the machine that take part in a rehearsal; temporary entries, which end by themselves, do not.
struct LiveFirewall: Sendable {
    /// The rules of iptables, by backend.
    var rules: [(backend: Backend, rules: PerFamily<RuleSet>)] = []
    /// The tables of nf_tables that iptables does not load.
    var tables: [NFTable] = []
    /// What could not be read.
    var notes: [String] = []

    /// Reads them.
    ///
    /// - Parameters:
    ///   - backend: the backend of the change.
    ///   - environment: the machine.
    /// - Throws: if the rules of the change's own backend cannot be read.
    init(_ backend: Backend, in environment: ChangeEnvironment) async throws(ChangeError) {
        if backend != .nftables {
            rules = [(backend, try await Self.rules(backend, environment))]
        }
        var listed: [NFTable] = []
        do throws(HostError) {
            listed = try await NFTables(toolbox: environment.toolbox, runner: environment.runner)?.tables() ?? []
        } catch {
            // Without nft's tables, iptables' rules are still worth a rehearsal.
            guard backend != .nftables else { throw .host(error) }
            notes.append("The rehearsal ran without tables made with nft: \(error)")
        }
        for other in Backend.iptables where other != backend && Self.mayHold(other, listed) {
            guard let read = try? await Self.rules(other, environment) else {
                // iptables-nft's are then loaded as nft prints them.
                if other == .legacy { notes.append("The rehearsal ran without the rules of iptables-legacy.") }
                continue
            }
            rules.append((other, read))
        }
        let isCovered = rules.contains { $0.backend == .nft }
        let unreadable = rules.filter { $0.backend == .nft }.flatMap { Self.unreadableTables($0.rules) }
        tables = listed.map(\.withoutTemporary).filter { table in
            guard !table.isDormant, ["inet", "ip", "ip6", "netdev"].contains(table.id.family) else { return false }
            guard table.isOfIPTables, !unreadable.contains(table.id) else { return true }
            return !isCovered && backend == .nftables
        }
        notes += unreadable.filter { name in !tables.contains { $0.id == name } }
            .map { "The rehearsal ran without the table \($0): iptables cannot print it." }
    }

    /// The tables of iptables-nft with rules that iptables cannot print; they are copied as nft prints them.
    private static func unreadableTables(_ rules: PerFamily<RuleSet>) -> [NFTable.Name] {
        rules.present.flatMap { family, rules in
            rules.unreadableTables.map { NFTable.Name(family == .ipv4 ? "ip" : "ip6", $0) }
        }
    }

    /// The rules of one backend; filter has to be readable, because a change rewrites it.
    private static func rules(
        _ backend: Backend, _ environment: ChangeEnvironment
    ) async throws(ChangeError) -> PerFamily<RuleSet> {
        let rules = try await LiveRules(
            backend: backend, families: environment.families, toolbox: environment.toolbox,
            runner: environment.runner
        ).readAll()
        for (family, rules) in rules.present {
            try LiveRules.requireReadable(rules, family, tables: ["filter"], allChains: false)
        }
        return rules
    }

    /// Running legacy tools loads their kernel modules; reading these files does not.
    private static func mayHold(_ backend: Backend, _ tables: [NFTable]) -> Bool {
        guard backend == .legacy else { return tables.contains(where: \.isOfIPTables) }
        return ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"].contains { path in
            (try? SecureFiles.read(path)).map { !$0.isEmpty } ?? false
        }
    }

    /// The rules of one family, of all backends.
    func all(_ family: Family) -> [RuleSet] { rules.compactMap { $0.rules[family] } }
}

extension LiveFirewall {
    /// Loads the rules on a stage, as far as it supports them.
    ///
    /// Without nat, unless the stage has containers: it forwards packets to them.
    ///
    /// - Parameter kernel: the stage's programs.
    /// - Returns: the rules of the families in which these and no others of the change's backend are active there now, and
    ///   notes about those that could not be loaded.
    /// - Throws: `ChangeError` if a family's tools cannot be run.
    func load(on kernel: StageKernel) async throws(ChangeError) -> (loaded: PerFamily<RuleSet>, notes: [String]) {
        var loaded = PerFamily<RuleSet>()
        var notes = notes
        for (backend, rules) in rules {
            guard let there = await kernel.iptables(of: backend) else { continue }
            let families = try await there.eachFamily(rules.present.map(\.family)) { family throws(ChangeError) in
                await Self.load(rules[family]?.tables ?? [], family, there, hasNAT: kernel.path == .forwarded)
            }
            for (family, result) in families.present {
                if backend == kernel.backend { loaded[family] = result.loaded }
                notes += result.notes
            }
        }
        for table in tables { notes += await Self.load(table, kernel) }
        return (loaded, notes)
    }

    /// Removes from a stage what goes with the managers that a change takes over: their tables of nftables, and their
    /// rules of iptables.
    ///
    /// As with the managers themselves, the trial may go with them: the change has to be made permanent next.
    ///
    /// - Parameters:
    ///   - takeOver: the managers; nil for none.
    ///   - kernel: the stage's programs.
    /// - Throws: `ChangeError` if the tools fail.
    func removeRules(of takeOver: TakeOver?, on kernel: StageKernel) async throws(ChangeError) {
        guard let takeOver else { return }
        let names = Set(takeOver.managers.map(\.name))
        for table in tables(of: takeOver) {
            // One that the stage could not load is not there.
            try? await kernel.nft?.delete("\(table.id)")
        }
        for (backend, rules) in rules {
            guard let there = await kernel.iptables(of: backend) else { continue }
            _ = try await there.eachFamily(rules.present.map(\.family)) { family throws(ChangeError) in
                let left = rules[family]?.withoutRules(of: names) ?? RuleSet()
                do throws(HostError) {
                    try await there.tools[family]?.restore(DumpText.bytes(left.text), flush: true)
                } catch {
                    throw ChangeError.host(error)
                }
                return true
            }
        }
    }

    /// The tables of nftables that go with the managers that a change takes over.
    func tables(of takeOver: TakeOver) -> [NFTable] {
        let names = Set(takeOver.managers.map(\.name))
        let gone = Set((try? NFTable.names(in: takeOver.tables)) ?? [])
        return tables.filter { gone.contains($0.id) || names.contains($0.id.name) }
    }

    /// Loads one family's tables, each by itself: one that cannot be loaded does not affect the others.
    private static func load(
        _ tables: [Table], _ family: Family, _ there: LiveRules, hasNAT: Bool
    ) async -> (loaded: RuleSet?, notes: [String]) {
        var notes: [String] = []
        var loaded = RuleSet(tables: [])
        for table in tables where hasNAT || table.name != "nat" {
            do {
                try await there.tools[family]?.restore(DumpText.bytes(RuleSet(tables: [table]).text), flush: true)
                loaded[table.name] = table
            } catch {
                notes.append("The rehearsal ran without the active rules in \(table.name) (\(family.title)): \(error)")
            }
        }
        // Without a filter table of the machine's, what has the kernel know connections is still there.
        return (notes.isEmpty && loaded["filter"] != nil ? loaded : nil, notes)
    }

    private static func load(_ table: NFTable, _ kernel: StageKernel) async -> [String] {
        let missing = "The rehearsal ran without the table \(table.id)"
        guard !table.hasXtables else { return ["\(missing): nft cannot load it, and iptables-nft cannot print it."] }
        do throws(HostError) {
            try await kernel.nft?.load(table.forRehearsal(hasNAT: kernel.path == .forwarded).text)
            return []
        } catch {
            return ["\(missing): \(error)"]
        }
    }
}
