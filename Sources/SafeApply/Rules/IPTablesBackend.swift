import Host
import Logging
import Netfilter

/// The rules of iptables, nft or legacy.
struct IPTablesBackend: RuleBackend {
    let request: ChangeRequest
    let kernel: LiveRules
    let plan: PerFamily<RuleSet>
    let previous: PerFamily<RuleSet>
    private(set) var gateKind: GateKind
    private var trials: PerFamily<Trial>
    private let surroundings: Surroundings
    private var toolbox: Toolbox { surroundings.toolbox }
    private var log: Logger { surroundings.log }
    /// Whether the gates are opened by programs, because the rules are in another network than this process.
    private let isElsewhere: Bool
    private var gateSeconds: Int { isElsewhere ? Self.rehearsalSeconds : Gate.usualSeconds }
    /// What `ipset save` printed before the change.
    let sets: String

    /// How often rules are loaded at the most until a dump shows them.
    private static let loads = 3
    /// How long gates stay open that nobody renews, because the rules are rehearsed: longer than any rehearsal.
    private static let rehearsalSeconds = 3_600

    /// A change that begins: reads what is active, and takes away what an earlier trial has left.
    ///
    /// - Parameters:
    ///   - request: what is to be done.
    ///   - surroundings: the machine.
    ///   - isElsewhere: whether its runner works in another network than this process is in.
    /// - Throws: `badRules`, `host`, `unreadable`.
    init(
        new request: ChangeRequest, in surroundings: Surroundings, isElsewhere: Bool = false
    ) async throws(ChangeError) {
        let kernel = try await LiveRules(
            backend: request.backend, families: surroundings.families, toolbox: surroundings.toolbox,
            runner: surroundings.runner)
        var live = try await kernel.readAll()
        for (family, rules) in live.present {
            guard let input = Trial.removing(from: rules) else { continue }
            try await kernel.load(input, family)
            live[family] = try await kernel.read(family)
        }
        let sets = try await ChangeError.wrap { () async throws(HostError) in try await kernel.sets?.dump() ?? "" }
        try self.init(
            request, kernel, previous: live, sets: sets, gateKind: .recent, surroundings, isElsewhere: isElsewhere)
    }

    /// A change that another guard began.
    ///
    /// - Parameters:
    ///   - request: what is to be done.
    ///   - snapshot: the rules from before it; nil when they are lost.
    ///   - gateKind: what its gates rest on.
    ///   - surroundings: the machine.
    /// - Throws: `badRules`, `host`, `damaged`.
    init(
        carryingOn request: ChangeRequest, snapshot: Snapshot?, gateKind: GateKind, in surroundings: Surroundings
    ) async throws(ChangeError) {
        let kernel = try await LiveRules(
            backend: request.backend, families: surroundings.families, toolbox: surroundings.toolbox,
            runner: surroundings.runner)
        var previous = PerFamily<RuleSet>()
        for (family, _) in kernel.tools.present { previous[family] = try snapshot?.ruleSet(family) }
        try self.init(
            request, kernel, previous: previous, sets: snapshot?.sets ?? "", gateKind: gateKind, surroundings,
            isElsewhere: false)
    }

    private init(
        _ request: ChangeRequest, _ kernel: LiveRules, previous: PerFamily<RuleSet>, sets: String, gateKind: GateKind,
        _ surroundings: Surroundings, isElsewhere: Bool
    ) throws(ChangeError) {
        guard !kernel.tools.present.isEmpty else {
            throw .refused(reason: "This kernel has neither IPv4 nor IPv6.")
        }
        self.request = request
        self.kernel = kernel
        self.previous = previous
        self.sets = sets
        self.gateKind = gateKind
        self.surroundings = surroundings
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

    private mutating func setGate(_ kind: GateKind) {
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
    func snapshot(in surroundings: Surroundings) throws(ChangeError) -> Snapshot {
        var rules = PerFamily<String>()
        for (family, previous) in previous.present { rules[family] = previous.text }
        let printedBy = rules.present.lazy.compactMap { Self.version(in: $0.value) }.first
        return Snapshot(
            meta: Snapshot.Meta(
                id: request.id, date: surroundings.clock.date(), bootID: surroundings.bootID,
                backend: request.backend, version: printedBy ?? "unknown", requester: request.requester, sha256: [:]),
            rules: rules, sets: sets, saved: Persistence(surroundings).saved())
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
        case .recent: return RecentGates(families, folder: surroundings.recentFolder)
        case .set:
            return toolbox.find("ipset").map { SetGates(families, program: $0) } ?? UnconditionalGates()
        case .timeout, .none:
            return UnconditionalGates(others: RecentGates(families, folder: surroundings.recentFolder))
        }
    }

    /// The families in which there is something to try.
    private var gatedFamilies: [Family] { trials.present.filter { !$0.value.isEmpty }.map(\.family) }

    mutating func loadTrial() async throws(ChangeError) {
        try await makeSets()
        var first: ChangeError?
        for kind in [gateKind] + Self.weaker(than: gateKind) {
            setGate(kind)
            do {
                try await loadOnce()
                if isElsewhere { try await openByPrograms() }
                if isElsewhere || isGateUsable { return }
                log.warning("A gate of the kind \(kind.rawValue) cannot be opened here; another one is used.")
            } catch {
                // A rule that the kernel refuses with every kind of gate is refused for itself.
                if case .host(.xtablesLocked) = error { throw error }
                first = first ?? error
                log.warning("The trial could not be loaded behind a gate of the kind \(kind.rawValue): \(error)")
            }
        }
        throw first ?? .refused(reason: "The trial could not be loaded.")
    }

    /// Whether this process may open and close the gates that are loaded.
    private var isGateUsable: Bool {
        switch gateKind {
        case .recent: RecentGates(gatedFamilies, folder: surroundings.recentFolder).areWritable
        case .set: (try? gates.close()) != nil
        case .timeout, .none: true
        }
    }

    /// Opens the gates where the rules are.
    private func openByPrograms() async throws(ChangeError) {
        for family in gatedFamilies {
            let gate = Gate(gateKind, family, seconds: gateSeconds)
            try await ChangeError.wrap { () async throws(HostError) in
                switch gateKind {
                case .recent:
                    let command = Command(
                        try toolbox.need("tee"), ["\(RecentList.folder)/\(gate.name)"],
                        input: Array("+\(gate.anyAddress)".utf8))
                    _ = try await kernel.runner.check(command)
                case .set:
                    let lines = gate.halves.map { "add \(gate.name) \($0) timeout \(gate.seconds)\n" }
                    try await kernel.sets?.restoreMissing(lines.joined())
                case .timeout, .none: break
                }
            }
        }
    }

    private static func weaker(than kind: GateKind) -> [GateKind] {
        switch kind {
        case .recent: [.set, .none]
        case .set: [.none]
        case .timeout, .none: []
        }
    }

    private func loadOnce() async throws(ChangeError) {
        if gateKind == .set {
            guard let sets = kernel.sets else { throw .host(.toolMissing(name: "ipset", lookedIn: [])) }
            let lines = gatedFamilies.compactMap { Gate(.set, $0, seconds: gateSeconds).setLine }.joined()
            try await ChangeError.wrap { () async throws(HostError) in try await sets.restoreMissing(lines) }
        }
        let before = previous
        let loaded = try await kernel.eachFamily(gatedFamilies) { family throws(ChangeError) in
            guard let trial = trials[family] else { return true }
            return try await load(trial, over: before[family] ?? RuleSet(), family)
        }
        guard loaded.present.allSatisfy({ $0.value }) else {
            throw .refused(reason: "The kernel did not take the rules as they were given.")
        }
    }

    /// Loads a trial and reads it back.
    ///
    /// - Parameter before: the rules as they are known; looked at again where that does not do.
    /// - Returns: whether it is there.
    private func load(_ trial: Trial, over before: RuleSet, _ family: Family) async throws(ChangeError) -> Bool {
        var live = before
        for attempt in 1...Self.loads {
            do throws(ChangeError) { try await kernel.load(trial.loading(over: live), family) } catch {
                guard attempt == 1, case .host(.rulesRefused) = error else { throw error }
            }
            live = try await kernel.reread(trial.places, of: before, family)
            if trial.isWhole(in: live) { return true }
        }
        return false
    }

    func isTrialWhole() async throws(ChangeError) -> Bool {
        let whole = try await kernel.eachFamily(gatedFamilies) { family throws(ChangeError) in
            guard let trial = trials[family] else { return true }
            let live = try await kernel.reread(trial.places, of: previous[family] ?? RuleSet(), family)
            try LiveRules.requireReadable(live, family, tables: trial.tables.map(\.name), isWhole: false)
            return trial.isWhole(in: live)
        }
        return whole.present.allSatisfy { $0.value }
    }

    func removeTrial() async throws(ChangeError) {
        _ = try await kernel.eachFamily(gatedFamilies) { family throws(ChangeError) in
            guard let trial = trials[family] else { return true }
            do { try await kernel.load(trial.removing, family) } catch {
                // Somebody has taken a part of it away: look what is left.
                let live: RuleSet
                do { live = try await kernel.read(family) } catch {
                    try await removeByHandle(trial, family)
                    return true
                }
                if !live.unreadableTables.isEmpty {
                    try await removeByHandle(trial, family)
                } else if let input = Trial.removing(from: live, trial: trial) {
                    try await kernel.load(input, family)
                }
            }
            let made = trial.tables.map(\.name).filter { previous[family]?[$0] == nil }
            await kernel.removeEmptyTables(made, family)
            return true
        }
        if gateKind == .set { await kernel.sets?.remove(gatedFamilies.map { Gate(.set, $0).name }) }
        await removeMadeSets()
    }

    /// Takes the trial away with nft, where iptables no longer touches the table.
    private func removeByHandle(_ trial: Trial, _ family: Family) async throws(ChangeError) {
        guard let nft = kernel.nft, kernel.tools[family]?.backend == .nft else {
            throw .unreadable(family: family, tables: trial.tables.map(\.name), reason: "iptables cannot print it.")
        }
        let place = family == .ipv4 ? "ip" : "ip6"
        var lines: [String] = []
        for table in trial.tables {
            let listing = try await ChangeError.wrap { () async throws(HostError) in
                try await kernel.runner.check(Command(nft, ["-a", "list", "table", place, table.name]))
            }
            lines += Self.deletions(in: listing.text, place: "\(place) \(table.name)", chains: Set(table.chains))
        }
        guard !lines.isEmpty else { return }
        let input = Array(lines.map { "\($0)\n" }.joined().utf8)
        try await ChangeError.wrap { () async throws(HostError) in
            _ = try await kernel.runner.check(Command(nft, ["-f", "-"], input: input))
        }
    }

    /// The commands of nft that delete gates and the chains they lead to.
    ///
    /// - Parameters:
    ///   - listing: what `nft -a list table` prints.
    ///   - place: the family and name of the table.
    ///   - chains: the trial's chains.
    static func deletions(in listing: String, place: String, chains: Set<String>) -> [String] {
        var rules: [String] = []
        var found: [String] = []
        var chain = ""
        for line in listing.split(separator: "\n") {
            if line.hasPrefix("\tchain ") {
                chain = String(line.dropFirst("\tchain ".count).prefix { $0 != " " })
                if chains.contains(chain) { found.append(chain) }
            } else if line.hasPrefix("\t\t"), leads(line, chains), let handle = line.split(separator: " ").last {
                rules.append("delete rule \(place) \(chain) handle \(handle)")
            }
        }
        return rules + found.map { "flush chain \(place) \($0)" } + found.map { "delete chain \(place) \($0)" }
    }

    /// Whether a line of nft's is a gate: by its comment, or by the chain that it goes to.
    private static func leads(_ line: Substring, _ chains: Set<String>) -> Bool {
        let words = line.split(separator: " ")
        return line.contains("\"\(Gate.comment)\"")
            || zip(words, words.dropFirst()).contains { $0.0 == "goto" && chains.contains(String($0.1)) }
    }

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
        for _ in 1...Self.loads {
            try await kernel.load(step.loading(over: try await read(step, family)), family)
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

    // MARK: - Sets of a snapshot

    /// Makes the sets that the rules of a snapshot need; a rule that names a missing one cannot be loaded.
    private func makeSets() async throws(ChangeError) {
        guard let text = request.restores?.sets, !text.isEmpty else { return }
        guard let sets = kernel.sets else { throw .host(.toolMissing(name: "ipset", lookedIn: [])) }
        try await ChangeError.wrap { () async throws(HostError) in try await sets.restoreMissing(text) }
    }

    /// Takes those sets away again; one that a rule names stays.
    private func removeMadeSets() async {
        guard let text = request.restores?.sets, let sets = kernel.sets else { return }
        await sets.remove(Restoration.names(text).reversed())
    }

    /// Takes away, once a restore is kept, the tables that it emptied.
    func removeEmptiedTables() async {
        for (family, names) in (request.restores?.emptied ?? PerFamily()).present {
            await kernel.removeEmptyTables(names, family)
        }
    }
}
