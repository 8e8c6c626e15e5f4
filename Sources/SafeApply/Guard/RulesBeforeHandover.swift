import Host
import Netfilter

/// The rules of the moment before other firewall managers stop.
///
/// Some managers remove everybody's rules when they stop: those of other programs are loaded again afterwards. And one
/// that cannot be started again does not load its own: then these are the previous rules.
struct RulesBeforeHandover: Codable, Sendable {
    /// The rules that one of iptables' backends holds in one family, as far as iptables can print them correctly.
    struct Part: Codable, Sendable {
        let backend: Backend
        let family: Family
        let text: String
        /// Why some tables are not in the text; nil if all are.
        let gap: String?
    }

    let parts: [Part]
    /// The managers' tables of nftables, as nft(8) reads them.
    let tables: String

    /// Reads them.
    ///
    /// - Parameters:
    ///   - managers: the names of the managers that stop.
    ///   - environment: the machine.
    init(of managers: Set<String>, in environment: ChangeEnvironment) async {
        let names = await OtherBackend.nftTables(in: environment)
        var parts: [Part] = []
        for backend in Backend.iptables {
            for family in environment.families
            where OtherBackend.mayHold(backend, family, names, anyTable: true) {
                parts.append(await Self.part(backend, family, in: environment))
            }
        }
        self.parts = parts
        let nft = NFTables(toolbox: environment.toolbox, runner: environment.runner)
        let listed = (try? await nft?.tables()) ?? []
        tables = listed.filter { managers.contains($0.id.name) }.map(\.text).joined()
    }

    /// The tables whose dump loads as the same rules: one rule that is really another one could block everybody.
    private static func part(
        _ backend: Backend, _ family: Family, in environment: ChangeEnvironment
    ) async -> Part {
        var whole: [Table] = []
        var gap: String?
        do throws(ChangeError) {
            let kernel = try await LiveRules(
                backend: backend, families: [family], toolbox: environment.toolbox, runner: environment.runner)
            let live = try await kernel.read(family)
            try LiveRules.requireReadable(live, family, allChains: true)
            let sets = try? await kernel.sets?.dump()
            for table in live.withoutTrial.tables {
                do throws(ChangeError) {
                    try await WayBack(kernel: kernel, sets: sets ?? "").check([table], live: live, family)
                    whole.append(table)
                } catch { gap = "\(error)" }
            }
        } catch { gap = "\(error)" }
        return Part(backend: backend, family: family, text: RuleSet(tables: whole).text, gap: gap)
    }

    // MARK: - After the managers have stopped

    /// Loads what the managers removed of other programs' rules.
    ///
    /// - Parameters:
    ///   - managers: the names of the managers that stopped.
    ///   - environment: the machine.
    /// - Returns: the number of rules.
    /// - Throws: `ChangeError` for the first rules that cannot be loaded, after the others.
    func loadOthers(than managers: Set<String>, in environment: ChangeEnvironment) async throws(ChangeError) -> Int {
        var count = 0
        var first: ChangeError?
        for part in parts {
            do throws(ChangeError) {
                let live = try await Self.tools(part, environment)
                let before = try Self.rules(part).withoutTemporary.withoutAllRules(of: managers)
                let missing = Self.missing(before, in: try await live.read(part.family))
                if missing.count > 0 {
                    try await live.load(
                        RestoreInput(text: missing.text, flush: false, counters: false), part.family)
                    count += missing.count
                }
                if let gap = part.gap { throw .refused(reason: gap) }
            } catch {
                first = first ?? error
            }
        }
        if let first { throw first }
        return count
    }

    /// What is missing of other programs' rules, as input for iptables-restore.
    ///
    /// A chain that still has a part of its rules was changed by its owner, and stays as it is.
    static func missing(_ before: RuleSet, in live: RuleSet) -> (text: String, count: Int) {
        var text = ""
        var count = 0
        for table in before.tables {
            let present = live[table.name]?.rulesByChain ?? [:]
            let rules = table.rulesByChain.mapValues { $0.filter { !$0.isOwned && !$0.isGate } }
            var lines: [String] = []
            for chain in table.chains {
                let there = Set((present[chain.name] ?? []).map(\.body))
                let wanted = rules[chain.name] ?? []
                if chain.policy == nil {
                    let isMissing = live[table.name]?.chain(chain.name) == nil
                    if isMissing, !chain.name.hasPrefix("latchkey") {
                        lines.insert(":\(chain.name) - \(Counters.zero.text)", at: 0)
                    }
                    guard there.isEmpty else { continue }
                    lines += wanted.map(\.withoutCounters.text)
                    count += wanted.count
                } else {
                    // At the head, in their order: ahead of latchkey's.
                    let gone = wanted.filter { !there.contains($0.body) }
                    lines += gone.enumerated().map { place, rule in
                        "-I \(chain.name) \(place + 1)" + rule.withoutCounters.text.dropFirst("-A \(chain.name)".count)
                    }
                    count += gone.count
                }
            }
            // Docker has the policy DROP there; without it, others reach its containers.
            let isDockers = (rules["FORWARD"] ?? []).contains { $0.jumpsTo?.hasPrefix("DOCKER") ?? false }
            if table.name == "filter", isDockers, table.chain("FORWARD")?.policy == .drop {
                lines.insert(":FORWARD DROP \(Counters.zero.text)", at: 0)
            }
            if !lines.isEmpty { text += "*\(table.name)\n\(lines.joined(separator: "\n"))\nCOMMIT\n" }
        }
        return (text, count)
    }

    // MARK: - If a manager does not start again

    /// Loads all of them, and reads them back.
    ///
    /// - Throws: `ChangeError` if they are not complete.
    func loadAll(in environment: ChangeEnvironment) async throws(ChangeError) {
        if let gap = parts.lazy.compactMap(\.gap).first { throw .refused(reason: gap) }
        for part in parts {
            let live = try await Self.tools(part, environment)
            let before = try Self.rules(part)
            let names = before.tables.map(\.name)
            try await live.load(
                RestoreInput(text: RuleEdits.tablesText(names, from: before), flush: true, counters: false),
                part.family)
            let read = try await live.read(part.family)
            for name in names where read[name]?.comparable != before[name]?.comparable {
                throw .refused(reason: "The table \(name) (\(part.family.title)) was not loaded correctly.")
            }
        }
        guard !tables.isEmpty else { return }
        let text = tables
        try await ChangeError.wrap { () async throws(HostError) in
            let names = (try? NFTable.names(in: text)) ?? []
            let nft = NFTables(toolbox: environment.toolbox, runner: environment.runner)
            try await nft?.load(names.map { "add table \($0)\ndelete table \($0)\n" }.joined() + text)
        }
    }

    private static func tools(_ part: Part, _ environment: ChangeEnvironment) async throws(ChangeError) -> LiveRules {
        try await LiveRules(
            backend: part.backend, families: [part.family], toolbox: environment.toolbox, runner: environment.runner)
    }

    private static func rules(_ part: Part) throws(ChangeError) -> RuleSet {
        do { return try RuleSet(dumped: part.text, file: "the rules before the managers stopped") } catch {
            throw .badRules(error)
        }
    }
}

extension Table {
    /// Its chains with their policies and rules, to compare with another dump.
    fileprivate var comparable: Set<String> {
        Set(chains.map { "\($0.name) \($0.policy?.rawValue ?? "-")" })
            .union(rulesByChain.map { chain, rules in "\(chain) " + rules.map(\.body).joined(separator: "\n") })
    }
}
