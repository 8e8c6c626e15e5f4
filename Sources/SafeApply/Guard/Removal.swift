import Host
import Netfilter

/// What `latchkey off` removes: the kept rules, and others that latchkey's comment or name shows to be its own.
package struct Removal: Sendable {
    /// The backend that holds them.
    package private(set) var backend: Backend
    /// The iptables rules that go.
    package private(set) var rules = PerFamily<RuleSet>()
    /// The tables of nftables with what is left of them; nil for iptables.
    package private(set) var tables: String?
    /// The iptables rules that are active now.
    package private(set) var live = PerFamily<RuleSet>()
    /// Whether any of what goes is active now.
    package private(set) var isActive = false
    /// Other backends with rules of latchkey's, which stay.
    package private(set) var others: [Backend] = []

    /// What goes from a machine; nil if there is nothing of latchkey's, neither active nor for boot.
    ///
    /// - Parameter environment: the machine.
    /// - Throws: `host`, `unreadable`, `badRules`, `damaged`.
    package init?(in environment: ChangeEnvironment) async throws(ChangeError) {
        let kept = try Persistence(environment).lastKept()
        var holders: [Backend] = []
        for backend in Backend.allCases where await OtherBackend.holdsOwnRules(backend, in: environment) {
            holders.append(backend)
        }
        if let backend = kept?.backend ?? holders.first {
            self.backend = backend
        } else {
            do throws(HostError) { backend = try await ChosenBackend.find(nil, in: environment) } catch {
                throw .host(error)
            }
        }
        others = holders.filter { $0 != backend }
        if backend == .nftables {
            try await findTables(kept, in: environment)
        } else {
            try await findRules(kept, in: environment)
        }
        if isActive || kept != nil { return }
        guard try BootFiles(environment).contain(rules) else { return nil }
    }

    private mutating func findTables(_ kept: KeptRules?, in environment: ChangeEnvironment) async throws(ChangeError) {
        let own = try? NFTable.tables(in: kept?.ownTables ?? kept?.tables ?? "")
        let record = Dictionary((own ?? []).map { ($0.id, $0) }, uniquingKeysWith: { _, last in last })
        let names = Set(record.keys).union([.latchkey]).sorted()
        let live = try await LiveTables(toolbox: environment.toolbox, runner: environment.runner).read(names)
            .map(\.withoutTrial)
        let left = live.map { table in (table, table.removing(record[table.id] ?? NFTable(table.id))) }
            .filter { $0 != $1 }
        isActive = !left.isEmpty
        // Named even if it is missing now, so that the change has a table.
        tables = (left.isEmpty ? [NFTable(.latchkey)] : left.map(\.1)).map(\.text).joined()
    }

    private mutating func findRules(_ kept: KeptRules?, in environment: ChangeEnvironment) async throws(ChangeError) {
        live = try await LiveRules(
            backend: backend, families: environment.families, toolbox: environment.toolbox,
            runner: environment.runner
        ).readAll()
        for (family, present) in live.present {
            let text = (kept?.ownRules ?? kept?.rules)?[family]
            let record = text.flatMap { try? RuleSet(dumped: $0, file: "kept rules") }
            let plan = RuleRemoval.plan(kept: record, live: present)
            rules[family] = plan
            if RuleRemoval(plan).concerns(present) { isActive = true }
        }
    }

    /// The iptables rules that stay.
    package var rest: PerFamily<RuleSet> {
        var rest = PerFamily<RuleSet>()
        for (family, live) in live.present { rest[family] = RuleRemoval(rules[family] ?? RuleSet()).rest(of: live) }
        return rest
    }
}

extension OtherBackend {
    /// Whether a backend holds rules with latchkey's comment, or its table.
    static func holdsOwnRules(_ backend: Backend, in environment: ChangeEnvironment) async -> Bool {
        let tables = await nftTables(in: environment)
        guard backend != .nftables else { return tables?.contains(NFTable.Name.latchkey.description) ?? false }
        for family in environment.families where mayHold(backend, family, tables ?? [], anyTable: true) {
            let rules = await rules(backend, family, in: environment)
            if rules?.tables.contains(where: { $0.rules.contains { $0.isOwned && !$0.isGate } }) ?? false {
                return true
            }
        }
        return false
    }
}
