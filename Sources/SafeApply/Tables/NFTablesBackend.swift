import Host
import Logging
import Netfilter

/// The backend for nftables: tables of latchkey's own, or those that a hand-written file names.
struct NFTablesBackend: RuleBackend {
    let request: ChangeRequest
    let plan: [NFTable]
    let previous: [NFTable]
    let environment: ChangeEnvironment
    let gateKind = GateKind.timeout
    private let kernel: LiveTables
    /// The tables as they were read first, with temporary entries.
    private let active: [NFTable]
    private let trials: [TableTrial]
    /// Whether the rules are in another network namespace than this process, so that nft opens the gates.
    private let isElsewhere: Bool

    /// How often rules are loaded at most until a listing shows them.
    private static let loads = 3
    /// How long gates stay open in a rehearsal, where they are not renewed: longer than any rehearsal, in seconds.
    private static let rehearsalSeconds = 3_600

    private var names: [NFTable.Name] { plan.map(\.id) }

    /// Begins a change: reads the tables, and removes what is left of an earlier trial.
    ///
    /// - Parameters:
    ///   - request: the change.
    ///   - environment: the machine.
    ///   - isElsewhere: whether its runner works in another network namespace than this process.
    /// - Throws: `badRules`, `host`, `refused`.
    init(
        new request: ChangeRequest, in environment: ChangeEnvironment, isElsewhere: Bool = false
    ) async throws(ChangeError) {
        let kernel = try LiveTables(toolbox: environment.toolbox, runner: environment.runner)
        let plan = try await Self.plan(request, kernel, isElsewhere: isElsewhere)
        var live = try await kernel.read(plan.map(\.id))
        for table in live where table.hasTrial {
            guard let handles = try await kernel.readHandles(table.id) else { continue }
            try await kernel.load(NFTable.removingTrial(from: handles, trial: nil, plan: nil))
        }
        if live.contains(where: \.hasTrial) { live = try await kernel.read(plan.map(\.id)) }
        self.init(request, kernel, plan: plan, previous: live, environment, isElsewhere: isElsewhere)
    }

    /// Takes over a change that another guard began.
    ///
    /// - Parameters:
    ///   - request: the change.
    ///   - snapshot: the previous tables; nil if they are lost.
    ///   - environment: the machine.
    /// - Throws: `host`, `damaged`, `refused`.
    init(
        carryingOn request: ChangeRequest, snapshot: Snapshot?, in environment: ChangeEnvironment
    ) async throws(ChangeError) {
        let kernel = try LiveTables(toolbox: environment.toolbox, runner: environment.runner)
        let plan = try await Self.plan(request, kernel)
        let previous =
            if let snapshot { try snapshot.nftTables() } else {
                // Without a snapshot, the live tables without the trial are the best guess.
                try await kernel.read(plan.map(\.id)).map(\.withoutTrial)
            }
        self.init(request, kernel, plan: plan, previous: previous, environment, isElsewhere: false)
    }

    private init(
        _ request: ChangeRequest, _ kernel: LiveTables, plan: [NFTable], previous: [NFTable],
        _ environment: ChangeEnvironment, isElsewhere: Bool
    ) {
        self.request = request
        self.kernel = kernel
        self.plan = plan
        active = previous
        // Temporary entries are no part of a change: they stay as they are, ahead of its rules.
        let previous = previous.map(\.withoutTemporary)
        self.previous = previous
        self.environment = environment
        self.isElsewhere = isElsewhere
        trials = plan.map { plan in TableTrial(of: plan, previous: previous.first { $0.id == plan.id }) }
    }

    /// The tables of a request, as nft lists them once it has loaded them.
    private static func plan(
        _ request: ChangeRequest, _ kernel: LiveTables, isElsewhere: Bool = false
    ) async throws(ChangeError) -> [NFTable] {
        let tables: [NFTable]
        do { tables = try NFTable.tables(in: request.tables ?? "") } catch {
            throw .refused(reason: "The rules for nftables: \(error)")
        }
        // A throwaway network of this process cannot be entered from another place.
        let there = isElsewhere ? nil : kernel.inThrowawayNetwork()
        return try await (there ?? kernel).listed(tables, isThrowaway: there != nil)
    }

    private func previous(_ id: NFTable.Name) -> NFTable? { previous.first { $0.id == id } }

    /// The tables as they are now, but for the elements of sets that are known (`LiveTables.read`).
    private func live(knowing known: [NFTable] = []) async throws(ChangeError) -> [NFTable.Name: NFTable] {
        let tables = try await kernel.read(names, knowing: known)
        return Dictionary(tables.map { ($0.id, $0) }) { first, _ in first }
    }

    // MARK: - Before the change

    func requireWayBack() async throws(ChangeError) {
        for plan in plan {
            let present = previous(plan.id) ?? NFTable(plan.id)
            for part in plan.parts where !["chain", "set", "map"].contains(part.kind) {
                guard let there = present.part(part.kind, part.name), there.lines != part.lines else { continue }
                throw .refused(
                    reason: "The table \(plan.id) has another \(part.kind) \(part.name) now; remove it first, or give "
                        + "the new one another name.")
            }
        }
        guard !previous.isEmpty, let there = kernel.inThrowawayNetwork() else { return }
        for table in previous {
            let copy: NFTable?
            do {
                try await there.load(table.withEmptyOwnSets.text)
                copy = try await there.read([table.id]).first
            } catch { throw Self.untruthful(table, "\(error)", table.text) }
            let lines = Set(copy?.comparable.flatMap(\.lines) ?? [])
            let wanted = table.withEmptyOwnSets.comparable
            guard copy?.comparable != wanted else { continue }
            let line = wanted.flatMap(\.lines).first { !lines.contains($0) }
            throw Self.untruthful(table, "Loading what nft prints would create another rule.", line ?? table.text)
        }
    }

    private static func untruthful(_ table: NFTable, _ reason: String, _ line: String) -> ChangeError {
        .refused(
            reason: "The table \(table.id) could not be restored from what nft prints, so nothing was changed. "
                + "\(reason) (\(line.quoted(limit: 120)))")
    }

    func snapshot() throws(ChangeError) -> Snapshot {
        Snapshot(
            meta: Snapshot.Meta(
                id: request.id, date: environment.clock.date(), bootID: environment.bootID, backend: request.backend,
                version: "nft", requester: request.requester, sha256: [:]),
            rules: PerFamily(), sets: "", tables: planned(previous), saved: Persistence(environment).saved())
    }

    /// Tables as text, a missing one as an empty one.
    private func planned(_ tables: [NFTable]) -> String {
        names.map { name in (tables.first { $0.id == name } ?? NFTable(name)).text }.joined()
    }

    // MARK: - The trial

    var gates: any GateControl {
        TimeoutGates(
            sets: trials.filter { !$0.isEmpty }.compactMap { trial in
                TimedSet.TableFamily(trial.id.family).map {
                    TimedSet(family: $0, table: trial.id.name, set: TableTrial.set.name)
                }
            })
    }

    mutating func loadTrial(again: Bool) async throws(ChangeError) {
        if again { try await removeTrial() }
        for attempt in 1...Self.loads {
            // The elements were just read, or loaded in one transaction with the rest; all are compared again before the
            // change is kept.
            let isFirst = attempt == 1 && !again
            let now =
                isFirst
                ? Dictionary(active.map { ($0.id, $0) }) { first, _ in first } : try await live(knowing: [])
            do throws(ChangeError) {
                try await kernel.load(
                    trials.filter { !$0.isComplete(in: now[$0.id]) }.map { $0.loading(over: now[$0.id]) }.joined())
            } catch {
                // Another program may have changed the table since it was read.
                guard isFirst, case .host(.rulesRefused) = error else { throw error }
                continue
            }
            guard try await isTrialWhole(knowing: isFirst ? previous + plan : []) else { continue }
            if isElsewhere { return try await openByProgram() }
            // Also shows that this process may change them.
            return try ChangeError.wrap { () throws(HostError) in try gates.close() }
        }
        throw .refused(reason: "The kernel did not load the rules correctly.")
    }

    /// Opens the gates in the network namespace of the rules.
    private func openByProgram() async throws(ChangeError) {
        let time = "timeout \(Self.rehearsalSeconds)s"
        try await kernel.load(
            trials.filter { !$0.isEmpty }.map {
                "add element \($0.id) \(TableTrial.set.name) { ip \(time), ip6 \(time) }\n"
            }.joined())
    }

    func isTrialWhole() async throws(ChangeError) -> Bool { try await isTrialWhole(knowing: []) }

    private func isTrialWhole(knowing known: [NFTable]) async throws(ChangeError) -> Bool {
        let now = try await live(knowing: known)
        return trials.allSatisfy { $0.isComplete(in: now[$0.id]) }
    }

    func removeTrial() async throws(ChangeError) {
        for (plan, trial) in zip(plan, trials) {
            guard let handles = try await kernel.readHandles(plan.id) else { continue }
            try await kernel.load(NFTable.removingTrial(from: handles, trial: trial, plan: plan))
            // Kept rules, or those of others, need the table.
            guard !handles.hasOtherRules, previous(plan.id) == nil, let rest = try await kernel.readHandles(plan.id),
                rest.parts.isEmpty
            else {
                continue
            }
            // Only the trial was in it.
            try await kernel.load("delete table \(plan.id)\n")
        }
    }

    // MARK: - Permanent rules

    func makePermanent() async throws(ChangeError) { try await load(plan) }

    func takeBack() async throws(ChangeError) {
        try await load(plan.map { previous($0.id) ?? NFTable($0.id) })
    }

    /// Gives all tables their wanted content in one transaction, and compares a fresh listing with it; tries again,
    /// because another program may have changed them in between.
    private func load(_ wanted: [NFTable]) async throws(ChangeError) {
        let edits = zip(wanted, trials).map { TableEdit(wanted: $0, trial: $1) }
        var differences: [String] = []
        for attempt in 1...Self.loads {
            let before = try await live(knowing: attempt == 1 ? previous + plan : [])
            do throws(ChangeError) {
                try await kernel.load(edits.map { $0.loading(over: before[$0.wanted.id]) }.joined())
            } catch {
                guard attempt < Self.loads, case .host(.rulesRefused) = error else { throw error }
                continue
            }
            let after = try await live()
            differences = edits.flatMap { $0.differences(after[$0.wanted.id]) }
            if differences.isEmpty { return }
        }
        throw .refused(reason: "The kernel did not load the rules correctly: \(differences.joined(separator: "; ")).")
    }

    func otherRulesNotes() async -> [String] { [] }

    func removeLeftovers() async {}

    func rulesToSave() async -> PlannedRules { PlannedRules(tables: plan) }

    // MARK: - The emergency opening

    func open() async throws(ChangeError) {
        // Only chains matter here, and this must be quick.
        let known = previous + plan
        let now = try await live(knowing: known)
        let rules = Self.openings(sshPorts: request.sshPorts, admins: request.admins)
        var lines: [String] = []
        for table in plan.compactMap({ now[$0.id] }) {
            for chain in table.chains where chain.hook?.contains(" hook input ") ?? false {
                // An earlier attempt may already have opened it.
                let missing = rules.filter { !chain.rules.contains($0) }
                lines += missing.map { "insert rule \(table.id) \(chain.name) \($0)\n" }
            }
        }
        try await kernel.load(lines.joined())
        let after = try await live(knowing: known)
        for table in plan.compactMap({ after[$0.id]?.withoutTemporary }) {
            for chain in table.chains where chain.hook?.contains(" hook input ") ?? false {
                guard Set(chain.rules.prefix(rules.count)) == Set(rules) else {
                    throw .refused(reason: "The emergency opening is not ahead of all other rules.")
                }
            }
        }
    }

    /// The rules of the emergency opening, as nft lists them.
    static func openings(sshPorts: [UInt16], admins: [String]) -> [String] {
        let comment = "comment \"\(Rule.ownershipPrefix)emergency opening\""
        let ports = Set(sshPorts).sorted()
        let list = ports.count == 1 ? "\(ports[0])" : "{ \(ports.map(String.init).joined(separator: ", ")) }"
        return (ports.isEmpty ? [] : ["tcp dport \(list) counter accept \(comment)"])
            + admins.map { "\($0.contains(":") ? "ip6" : "ip") saddr \($0) counter accept \(comment)" }
    }
}
