import Host
import Logging
import Netfilter

/// The rules of iptables, nft or legacy.
struct IPTablesBackend: RuleBackend {
    let request: ChangeRequest
    let kernel: LiveRules
    let plan: PerFamily<RuleSet>
    let previous: PerFamily<RuleSet>
    var gateKind: GateKind
    var trials: PerFamily<Trial>
    let environment: ChangeEnvironment
    var toolbox: Toolbox { environment.toolbox }
    var log: Logger { environment.log }
    /// Whether the gates are opened by programs, because the rules are in another network than this process.
    let isElsewhere: Bool
    var gateSeconds: Int { isElsewhere ? Self.rehearsalSeconds : Gate.usualSeconds }
    /// Whether `previous` is what was read before the change; otherwise the snapshot is lost.
    private(set) var isPreviousKnown = true
    /// What `ipset save` printed before the change.
    let sets: String

    /// How often rules are loaded at the most until a dump shows them.
    static let loads = 3
    /// How long gates stay open that nobody renews, because the rules are rehearsed: longer than any rehearsal.
    private static let rehearsalSeconds = 3_600

    /// A change that begins: reads what is active, and takes away what an earlier trial has left.
    ///
    /// - Parameters:
    ///   - request: what is to be done.
    ///   - environment: the machine.
    ///   - isElsewhere: whether its runner works in another network than this process is in.
    ///   - loaded: the rules of the families in which it is known what is active; the others are read.
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
        let sets: String
        do { sets = try await savedSets ?? "" } catch let error as HostError { throw .host(error) } catch {
            throw .refused(reason: "\(error)")
        }
        try self.init(
            request, kernel, previous: live, sets: sets, gateKind: .recent, environment, isElsewhere: isElsewhere)
    }

    /// A change that another guard began.
    ///
    /// - Parameters:
    ///   - request: what is to be done.
    ///   - snapshot: the rules from before it; nil when they are lost.
    ///   - gateKind: what its gates rest on.
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
                // What is there now has to stand for what was: a trial can be told from the rest.
                previous[family] = try await kernel.read(family).withoutTrial
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
            do { plan[family] = try RuleSet(dumped: text, file: "\(family.title) rules") } catch {
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
                gate: Gate(kind, family, seconds: gateSeconds))
        }
    }

    // MARK: - Before anything changes

    func requireWayBack() async throws(ChangeError) {
        let way = WayBack(kernel: kernel, sets: sets)
        for (family, plan) in plan.present {
            guard let live = previous[family] else { continue }
            try LiveRules.requireReadable(
                live, family, tables: plan.tables.map(\.name), isWhole: request.scope == .tables)
            guard let trial = trials[family] else { continue }
            try await way.check(plan, scope: request.scope, trial: trial, live: live, family)
        }
    }

    /// The snapshot of the moment before the change.
    func snapshot(in environment: ChangeEnvironment) throws(ChangeError) -> Snapshot {
        var rules = PerFamily<String>()
        for (family, previous) in previous.present { rules[family] = previous.text }
        let printedBy = rules.present.lazy.compactMap { Self.version(in: $0.value) }.first
        return Snapshot(
            meta: Snapshot.Meta(
                id: request.id, date: environment.clock.date(), bootID: environment.bootID,
                backend: request.backend, version: printedBy ?? "unknown", requester: request.requester, sha256: [:]),
            rules: rules, sets: sets, saved: Persistence(environment).saved())
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

    /// The families in which there is something to try.
    var gatedFamilies: [Family] { trials.present.filter { !$0.value.isEmpty }.map(\.family) }

    // MARK: - Permanent rules

    func makePermanent() async throws(ChangeError) {
        _ = try await kernel.eachFamily(plan.present.map(\.family)) { family throws(ChangeError) in
            guard let plan = plan[family] else { return true }
            let step = PermanentRules(
                WantedRules(plan, scope: request.scope), insteadOf: previous[family] ?? RuleSet())
            try await load(step, family)
            return true
        }
    }

    func takeBack() async throws(ChangeError) {
        _ = try await kernel.eachFamily(plan.present.map(\.family)) { family throws(ChangeError) in
            guard let plan = plan[family], let previous = previous[family] else { return true }
            let live = try await kernel.read(family)
            let wanted = WantedRules(previous: previous, plan: plan, scope: request.scope, live: live)
            try await load(PermanentRules(wanted, insteadOf: plan), family)
            await kernel.removeEmptyTables(plan.tables.map(\.name).filter { previous[$0] == nil }, family)
            return true
        }
    }

    /// Loads a step and compares a fresh dump with it; again, where another program may have changed the rules between
    /// the two.
    private func load(_ step: PermanentRules, _ family: Family) async throws(ChangeError) {
        var differences: [String] = []
        for attempt in 1...Self.loads {
            let isLast = attempt == Self.loads
            do throws(ChangeError) {
                let live = try await read(step, family)
                try await kernel.load(step.loading(over: live, byPlace: isLast), family)
            } catch {
                // A rule that was to go has gone meanwhile, or the tool does not find it by what it says.
                guard !isLast, case .host(.rulesRefused) = error else { throw error }
                continue
            }
            differences = step.differences(try await read(step, family))
            if differences.isEmpty { return }
        }
        throw .refused(
            reason: "The kernel did not take the \(family.title) rules as they were given: "
                + differences.joined(separator: "; ") + ".")
    }

    private func read(_ step: PermanentRules, _ family: Family) async throws(ChangeError) -> RuleSet {
        guard let places = step.places else { return try await kernel.read(family) }
        return try await kernel.reread(places, of: previous[family] ?? RuleSet(), family)
    }

    /// What a person should know who keeps composed rules: what somebody put into INPUT inside the window stays there,
    /// and may let in what the answers do not.
    ///
    /// Trouble is of no consequence: the rules are active.
    func strangersNotes() async -> [String] {
        guard request.origin == .answers else { return [] }
        var notes: [String] = []
        for (family, plan) in plan.present where plan["filter"] != nil {
            guard let live = try? await kernel.reread(["filter": ["INPUT"]], of: previous[family] ?? RuleSet(), family),
                let rule = RuleEdits.unowned(in: live).first
            else {
                continue
            }
            notes.append(
                "INPUT (\(family.title)) also holds rules that are not latchkey's, and they decide too: "
                    + "\(rule.withoutCounters.text.quoted(limit: 120)).")
        }
        return notes
    }

    /// The plan as it is saved for boot: without tables that it leaves empty and this kernel does not have.
    func planToSave() async -> PerFamily<RuleSet> {
        var saved = plan
        for (family, plan) in plan.present {
            // A tool that stumbles says nothing about the kernel.
            saved[family] = (try? await kernel.supported(plan, family)) ?? plan
        }
        return saved
    }

    // MARK: - The last resort

    func open() async throws(ChangeError) {
        _ = try await kernel.eachFamily(kernel.tools.present.map(\.family)) { family throws(ChangeError) in
            let input = RuleEdits.emergencyOpening(
                family: family, sshPorts: request.sshPorts, admins: request.admins)
            // What an earlier attempt has opened is not opened twice.
            if let live = try? await kernel.read(family), RuleEdits.isOpened(live, by: input) { return true }
            do { try await kernel.load(input, family) } catch {
                // What keeps iptables-restore from its work may leave iptables to its own.
                let rules = RuleEdits.emergencyRules(
                    family: family, sshPorts: request.sshPorts, admins: request.admins)
                for rule in rules { try await kernel.insert(rule, family) }
            }
            guard RuleEdits.isOpened(try await kernel.read(family), by: input) else {
                throw ChangeError.refused(reason: "The opening does not stand ahead of all other rules.")
            }
            return true
        }
    }

    // MARK: - Sets

    /// Makes the sets that the rules need; a rule that names a missing one cannot be loaded.
    func makeSets() async throws(ChangeError) {
        let text = request.madeSets
        guard !text.isEmpty else { return }
        guard let sets = kernel.sets else { throw .host(.toolMissing(name: "ipset", lookedIn: [])) }
        try await ChangeError.wrap { () async throws(HostError) in try await sets.restoreMissing(text) }
    }

    /// Takes those sets away again; one that a rule names stays.
    func removeMadeSets() async {
        guard let sets = kernel.sets else { return }
        await sets.remove(Restoration.names(request.madeSets).reversed())
    }

    /// Takes away, once a change is kept, the sets that latchkey made for rules before it; one that a rule names stays.
    func removeOldSets() async {
        let named = plan.present.reduce(into: Set<String>()) { $0.formUnion(NamedSets.names(in: $1.value)) }
        let old = Restoration.names(sets).filter { $0.hasPrefix(NamedSets.ownPrefix) && !named.contains($0) }
        await kernel.sets?.remove(old)
    }

    /// Takes away, once a restore is kept, the tables that it emptied.
    func removeEmptiedTables() async {
        for (family, names) in (request.restores?.emptied ?? PerFamily()).present {
            await kernel.removeEmptyTables(names, family)
        }
    }
}
