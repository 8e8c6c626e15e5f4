import Host
import Logging
import Netfilter

/// The backend for iptables, nft or legacy.
struct IPTablesBackend: RuleBackend {
    let request: ChangeRequest
    let kernel: LiveRules
    let plan: PerFamily<RuleSet>
    let previous: PerFamily<RuleSet>
    /// The rules as they were read first, with temporary entries; empty for a change that another guard began.
    private(set) var active = PerFamily<RuleSet>()
    var gateKind: GateKind
    var trials: PerFamily<Trial>
    let environment: ChangeEnvironment
    var toolbox: Toolbox { environment.toolbox }
    var log: Logger { environment.log }
    /// Whether the rules are in another network namespace than this process, so that programs open the gates.
    let isElsewhere: Bool
    var gateSeconds: Int { isElsewhere ? Self.rehearsalSeconds : Gate.usualSeconds }
    /// Whether `previous` was read before the change; false if the snapshot is lost.
    private(set) var isPreviousKnown = true
    /// What `ipset save` printed before the change.
    let sets: String

    /// How often rules are loaded at most until a dump shows them.
    static let loads = 3
    /// How long gates stay open in a rehearsal, where they are not renewed: longer than any rehearsal.
    private static let rehearsalSeconds = 3_600

    /// Begins a change: reads the active rules, and removes what is left of an earlier trial.
    ///
    /// - Parameters:
    ///   - request: the change.
    ///   - environment: the machine.
    ///   - isElsewhere: whether its runner works in another network namespace than this process.
    ///   - loaded: the rules of the families whose active rules are known; the others are read.
    /// - Throws: `badRules`, `host`, `unreadable`.
    init(
        new request: ChangeRequest, in environment: ChangeEnvironment, isElsewhere: Bool = false,
        loaded: PerFamily<RuleSet> = PerFamily()
    ) async throws(ChangeError) {
        let kernel = try await LiveRules(
            backend: request.backend, families: environment.families, toolbox: environment.toolbox,
            runner: environment.runner)
        // For a snapshot, which a rehearsal does without.
        async let savedSets = isElsewhere ? nil : kernel.sets?.dump()
        var live = try await kernel.eachFamily(kernel.tools.present.map(\.family)) { family throws(ChangeError) in
            if let loaded = loaded[family] { loaded } else { try await kernel.read(family) }
        }
        for (family, rules) in live.present {
            guard let input = Trial.removing(from: rules) else { continue }
            try await kernel.load(input, family)
            live[family] = try await kernel.read(family)
        }
        // Temporary entries are no part of a change: they stay as they are, ahead of its rules.
        let active = live
        for (family, rules) in active.present { live[family] = rules.withoutTemporary }
        let sets: String
        do { sets = TemporaryParts.removed(fromSets: try await savedSets ?? "") } catch let error as HostError {
            throw .host(error)
        } catch {
            throw .refused(reason: "\(error)")
        }
        try self.init(
            request, kernel, previous: live, sets: sets, gateKind: .recent, environment, isElsewhere: isElsewhere)
        self.active = active
    }

    /// Takes over a change that another guard began.
    ///
    /// - Parameters:
    ///   - request: the change.
    ///   - snapshot: the previous rules; nil if they are lost.
    ///   - gateKind: the kind of its gates.
    ///   - environment: the machine.
    /// - Throws: `badRules`, `host`, `damaged`.
    init(
        carryingOn request: ChangeRequest, snapshot: Snapshot?, gateKind: GateKind, in environment: ChangeEnvironment
    ) async throws(ChangeError) {
        let kernel = try await LiveRules(
            backend: request.backend, families: environment.families, toolbox: environment.toolbox,
            runner: environment.runner)
        var previous = PerFamily<RuleSet>()
        for (family, _) in kernel.tools.present {
            if let snapshot {
                previous[family] = try snapshot.ruleSet(family)
            } else {
                // Without a snapshot, the live rules without the trial are the best guess.
                previous[family] = try await kernel.read(family).withoutTrial.withoutTemporary
            }
        }
        try self.init(
            request, kernel, previous: previous, sets: snapshot?.sets ?? "", gateKind: gateKind, environment,
            isElsewhere: false)
        isPreviousKnown = snapshot != nil
    }

    private init(
        _ request: ChangeRequest, _ kernel: LiveRules, previous: PerFamily<RuleSet>, sets: String, gateKind: GateKind,
        _ environment: ChangeEnvironment, isElsewhere: Bool
    ) throws(ChangeError) {
        guard !kernel.tools.present.isEmpty else {
            throw .refused(reason: "This kernel has neither IPv4 nor IPv6.")
        }
        self.request = request
        self.kernel = kernel
        self.previous = previous
        self.sets = sets
        self.gateKind = gateKind
        self.environment = environment
        self.isElsewhere = isElsewhere
        var plan = PerFamily<RuleSet>()
        for (family, text) in request.rules.present where kernel.tools[family] != nil {
            // A file made by iptables-save may name them.
            do { plan[family] = try RuleSet(dumped: text, file: "\(family.title) rules").withoutTemporary } catch {
                throw .badRules(error)
            }
        }
        self.plan = plan
        trials = PerFamily()
        setGate(gateKind)
    }

    mutating func setGate(_ kind: GateKind) {
        gateKind = kind
        for (family, plan) in plan.present {
            trials[family] = Trial(
                of: plan, scope: request.scope, previous: previous[family] ?? RuleSet(),
                gate: Gate(kind, family, seconds: gateSeconds), taking: request.taking)
        }
    }

    // MARK: - Before the change

    func requireWayBack() async throws(ChangeError) {
        let way = WayBack(kernel: kernel, sets: sets)
        for (family, plan) in plan.present {
            guard let live = previous[family] else { continue }
            try LiveRules.requireReadable(
                live, family, tables: plan.tables.map(\.name), allChains: request.scope == .tables)
            guard let trial = trials[family] else { continue }
            try await way.check(plan, scope: request.scope, trial: trial, live: live, family)
        }
    }

    /// The snapshot of the previous rules.
    func snapshot() throws(ChangeError) -> Snapshot {
        var rules = PerFamily<String>()
        for (family, previous) in previous.present { rules[family] = previous.text }
        let printedBy = rules.present.lazy.compactMap { Self.version(in: $0.value) }.first
        return Snapshot(
            meta: Snapshot.Meta(
                id: request.id, date: environment.clock.date(), bootID: environment.bootID,
                backend: request.backend, version: printedBy ?? "unknown", requester: request.requester, sha256: [:]),
            rules: rules, sets: sets, tables: "", saved: Persistence(environment).saved())
    }

    /// The version that the first line of a dump names: "# Generated by iptables-nft-save v1.8.9 (nf_tables) on ...".
    private static func version(in dump: String) -> String? {
        let words = dump.prefix { $0 != "\n" }.split(separator: " ")
        guard words.count > 4, words[1] == "Generated" else { return nil }
        return words[3...].prefix { $0 != "on" }.joined(separator: " ")
    }

    // MARK: - The trial

    var gates: any GateControl {
        let families = gatedFamilies
        switch gateKind {
        case .recent: return RecentGates(trials, folder: environment.recentFolder)
        case .set:
            return toolbox.find("ipset").map { SetGates(families, program: $0) } ?? UnconditionalGates()
        case .timeout, .none:
            return UnconditionalGates(others: RecentGates(trials, folder: environment.recentFolder))
        }
    }

    /// The families whose rules change.
    var gatedFamilies: [Family] { trials.present.filter { !$0.value.isEmpty }.map(\.family) }

    // MARK: - Permanent rules

    func makePermanent() async throws(ChangeError) {
        _ = try await kernel.eachFamily(plan.present.map(\.family)) { family throws(ChangeError) in
            guard let plan = plan[family] else { return true }
            let step = PermanentRules(
                WantedRules(plan, scope: request.scope, taking: request.taking),
                insteadOf: previous[family] ?? RuleSet())
            try await load(step, family)
            return true
        }
    }

    func takeBack() async throws(ChangeError) {
        _ = try await kernel.eachFamily(plan.present.map(\.family)) { family throws(ChangeError) in
            guard let plan = plan[family], let previous = previous[family] else { return true }
            let live = try await kernel.read(family)
            let wanted = WantedRules(
                previous: previous, plan: plan, scope: request.scope, live: live, taking: request.taking)
            try await load(PermanentRules(wanted, insteadOf: plan), family)
            await kernel.removeEmptyTables(plan.tables.map(\.name).filter { previous[$0] == nil }, family)
            return true
        }
    }

    /// Loads a step and compares a fresh dump with it; tries again, because another program may have changed the rules in
    /// between.
    private func load(_ step: PermanentRules, _ family: Family) async throws(ChangeError) {
        var differences: [String] = []
        for attempt in 1...Self.loads {
            let isLast = attempt == Self.loads
            do throws(ChangeError) {
                let live = try await read(step, family)
                try await kernel.load(step.loading(over: live, byPlace: isLast), family)
            } catch {
                // A rule to delete is already gone, or the tool does not find it by its text.
                guard !isLast, case .host(.rulesRefused) = error else { throw error }
                continue
            }
            differences = step.differences(try await read(step, family))
            if differences.isEmpty { return }
        }
        throw .refused(
            reason: "The kernel did not load the \(family.title) rules correctly: "
                + differences.joined(separator: "; ") + ".")
    }

    private func read(_ step: PermanentRules, _ family: Family) async throws(ChangeError) -> RuleSet {
        guard let places = step.places else { return try await kernel.read(family) }
        return try await kernel.reread(places, of: previous[family] ?? RuleSet(), family)
    }

    /// Notes about rules that another program added to INPUT while composed rules were pending: they stay, and may allow
    /// packets that the answers block.
    ///
    /// Errors are ignored: the rules are active.
    func otherRulesNotes() async -> [String] {
        guard request.origin == .answers else { return [] }
        var notes: [String] = []
        for (family, plan) in plan.present where plan["filter"] != nil {
            guard let live = try? await kernel.reread(["filter": ["INPUT"]], of: previous[family] ?? RuleSet(), family),
                let rule = RuleEdits.unowned(in: live).first
            else {
                continue
            }
            notes.append(
                "INPUT (\(family.title)) also contains rules that are not latchkey's, such as "
                    + "\(rule.withoutCounters.text.quoted(limit: 120)). They apply too.")
        }
        return notes
    }

    /// The plan without empty tables that this kernel does not support.
    func rulesToSave() async -> PlannedRules {
        var saved = plan
        for (family, plan) in plan.present {
            // A tool error says nothing about the kernel: the table stays.
            saved[family] = (try? await kernel.supported(plan, family)) ?? plan
        }
        return PlannedRules(rules: saved)
    }

    // MARK: - The emergency opening

    func open() async throws(ChangeError) {
        _ = try await kernel.eachFamily(kernel.tools.present.map(\.family)) { family throws(ChangeError) in
            let input = RuleEdits.emergencyOpening(
                family: family, sshPorts: request.sshPorts, admins: request.admins)
            // An earlier attempt may already have opened this family.
            if let live = try? await kernel.read(family), RuleEdits.isOpened(live, by: input) { return true }
            do { try await kernel.load(input, family) } catch {
                // If iptables-restore fails, iptables may still work.
                let rules = RuleEdits.emergencyRules(
                    family: family, sshPorts: request.sshPorts, admins: request.admins)
                for rule in rules { try await kernel.insert(rule, family) }
            }
            guard RuleEdits.isOpened(try await kernel.read(family), by: input) else {
                throw ChangeError.refused(reason: "The emergency opening is not ahead of all other rules.")
            }
            return true
        }
    }

    // MARK: - Sets

    /// Creates the sets that the rules need; a rule that names a missing set cannot be loaded.
    func makeSets() async throws(ChangeError) {
        let text = request.madeSets
        guard !text.isEmpty else { return }
        guard let sets = kernel.sets else { throw .host(.toolMissing(name: "ipset", lookedIn: [])) }
        try await ChangeError.wrap { () async throws(HostError) in try await sets.restoreMissing(text) }
    }

    /// Removes those sets again, except sets that a rule names.
    func removeMadeSets() async {
        guard let sets = kernel.sets else { return }
        await sets.remove(Restoration.names(request.madeSets).reversed())
    }

    func removeLeftovers() async {
        // Tables that a kept restore emptied.
        for (family, names) in (request.restores?.emptied ?? PerFamily()).present {
            await kernel.removeEmptyTables(names, family)
        }
        if request.scope == .removal {
            try? await TemporaryEntries(kernel).removeAll()
            for (family, plan) in plan.present { await kernel.removeEmptyTables(plan.tables.map(\.name), family) }
        }
        // The sets that latchkey made for earlier rules; one that a rule names stays.
        let wanted = request.scope == .removal ? [] : plan.present
        let named = wanted.reduce(into: Set<String>()) { $0.formUnion(NamedSets.names(in: $1.value)) }
        let old = Restoration.names(sets).filter { $0.hasPrefix(NamedSets.ownPrefix) && !named.contains($0) }
        await kernel.sets?.remove(old)
    }
}
