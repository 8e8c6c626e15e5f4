import Glibc
import Host
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// Rehearses plans in a copy of this machine's network.
struct RehearsalRunner: Sendable {
    let environment: ChangeEnvironment
    let backend: Backend
    /// The other end of the present SSH connection, and the port of this machine that it uses.
    var you: IPAddress?
    var yourPort: UInt16?
    /// This machine's own end of it.
    var yourDoor: IPAddress?
    /// The rules that are in force now; nil where they may not be read.
    let live: PerFamily<RuleSet>?
    /// Why root cannot read them.
    private let unreadable: ChangeError?

    /// What is rehearsed.
    struct Piece: Sendable {
        /// The rules of each family.
        var rules: PerFamily<RuleSet>
        /// Commands for `ipset restore` that make the sets of the rules.
        var sets: String
        /// How far they reach.
        var scope: ChangeScope
    }

    /// Reads the rules that are in force, if it may.
    ///
    /// - Throws: `Failure` with status 69 where there is no iptables.
    init(_ changeRunner: ChangeRunner, _ options: BackendOptions, caller: Caller) async throws(Failure) {
        await self.init(changeRunner, try await changeRunner.backend(options), caller: caller)
    }

    /// Reads the rules that are in force in one backend, if it may.
    init(_ changeRunner: ChangeRunner, _ backend: Backend, caller: Caller) async {
        environment = changeRunner.environment
        self.backend = backend
        you = caller.peer
        yourPort = caller.peerPort
        yourDoor = caller.door
        do {
            live = try await Self.rules(backend, changeRunner.environment)
            unreadable = nil
        } catch {
            live = nil
            unreadable = geteuid() == 0 ? error : nil
        }
    }

    private static func rules(
        _ backend: Backend, _ environment: ChangeEnvironment
    ) async throws(ChangeError) -> PerFamily<RuleSet> {
        let rules = try await LiveRules(
            backend: backend, families: environment.families, toolbox: environment.toolbox,
            runner: environment.runner
        ).readAll()
        for (family, rules) in rules.present { try LiveRules.requireReadable(rules, family, isWhole: false) }
        return rules
    }

    // MARK: - What to expect

    /// What a stage is to look like on which a plan is tried: with the interfaces by which its hosts come.
    func machine(for plan: Plan) async -> RehearsalMachine {
        let expectations = expectations(plan, on: RehearsalMachine(environment.facts, families: environment.families))
        return await machine(reaching: expectations.flatMap { [$0.source, $0.target] })
    }

    /// What a stage is to look like on which these hosts meet the server.
    func machine(reaching hosts: [IPAddress]) async -> RehearsalMachine {
        let hosts = Set(hosts + [you].compactMap(\.self)).sorted()
        let lookup = try? RouteLookup(toolbox: environment.toolbox, runner: environment.runner)
        let routes = (try? await lookup?.interfaces(to: hosts)) ?? [:]
        return RehearsalMachine(
            environment.facts, families: environment.families, you: you, door: yourDoor, routes: routes)
    }

    /// What a plan promises on this machine.
    func expectations(_ plan: Plan, on machine: RehearsalMachine) -> [Expectation] {
        plan.expectations(in: scene(machine))
    }

    /// The present SSH connection and nothing else, to get in whatever rules are given; empty where there is none.
    func expectationsOfCaller(on machine: RehearsalMachine) -> [Expectation] {
        Expectation.ofCaller(in: scene(machine))
    }

    private func scene(_ machine: RehearsalMachine) -> ExpectationContext {
        ExpectationContext(
            servers: machine.addresses, you: you, yourPort: yourPort, listening: machine.listening,
            spokenOf: (live?.present ?? []).flatMap { $0.value.networksSpokenOf })
    }

    // MARK: - Rehearsing

    /// Tries rules with packets, in the form in which they wait to be kept and in the form that is kept.
    ///
    /// - Parameters:
    ///   - piece: the rules.
    ///   - expectations: what they are to do.
    ///   - machine: what the stage is to look like.
    /// - Returns: what came of it.
    /// - Throws: `StageError` where no stage can be made or it breaks off; `HostError`, `ChangeError` where the rules
    ///   cannot be put in force on it.
    func rehearse(
        _ piece: Piece, _ expectations: [Expectation], on machine: RehearsalMachine
    ) async throws -> RehearsalResult {
        let begun = ContinuousClock.now
        if let unreadable { throw unreadable }
        let stage = try await open(expectations, on: machine)
        defer { stage.close() }
        let kernel = try await kernel(of: stage)
        // Sets alone keep nothing out, and large ones take their time.
        async let sets = loadSets(kernel)

        let rehearsal = Rehearsal(on: stage, tools: Self.tools(kernel))
        try await rehearsal.listen(for: expectations)
        var untested = try await rehearsal.control(expectations)
        try await track(kernel)
        untested.merge(try await rehearsal.connect(expectations)) { first, _ in first }

        let setNotes = await sets
        let existing = try await loadRules(kernel)
        var change = try await change(piece, on: stage, loaded: existing.loaded)
        let scopes = scopes(piece)
        try await change.activateTrial()
        let pending = try await rehearsal.verdicts(expectations, untested: untested, decidesAll: false, scopes: scopes)
        try await change.makePermanent()
        let permanent = try await rehearsal.verdicts(expectations, untested: untested, scopes: scopes)
        return RehearsalResult(
            verdicts: permanent, pending: pending,
            milliseconds: Int((ContinuousClock.now - begun) / .milliseconds(1)), notes: setNotes + existing.notes)
    }

    /// Which counters are read in the families in which there are too many rules to read them all.
    private func scopes(_ piece: Piece) -> [Family: CounterScope] {
        var scopes: [Family: CounterScope] = [:]
        for (family, rules) in live?.present ?? [] {
            scopes[family] = CounterScope(existing: rules, planned: piece.rules[family] ?? RuleSet(tables: []))
        }
        return scopes
    }

    /// A stage that looks like this machine, without rules.
    func open(_ expectations: [Expectation], on machine: RehearsalMachine) async throws -> Stage {
        let servers = machine.addresses.map(\.address)
        let outside = Set(
            expectations.flatMap { [$0.source, $0.target] }.filter { $0.canBeOutside && !servers.contains($0) })
        let agent = [try OwnProgram.path(), "probe-agent"]
        let tools = try StageTools(environment.toolbox)
        let addresses = StageAddresses(server: machine.addresses, outside: outside.sorted())
        do throws(StageError) {
            return try await Stage.open(agent: agent, tools: tools, addresses: addresses)
        } catch {
            guard case .agent = error else { throw error }
        }
        // On a machine with much to do, a cable may not have come to carry in time.
        return try await Stage.open(agent: agent, tools: tools, addresses: addresses)
    }

    /// iptables, inside the stage.
    func kernel(of stage: Stage) async throws -> LiveRules {
        try await LiveRules(
            backend: backend, families: environment.families, toolbox: environment.toolbox,
            runner: StageRunner(stage, runner: environment.runner))
    }

    static func tools(_ kernel: LiveRules) -> [Family: IPTables] {
        Dictionary(uniqueKeysWithValues: kernel.tools.present.map { ($0.family, $0.value) })
    }

    /// Has the kernel of the stage know connections before the rules come, as the guard does.
    private func track(_ kernel: LiveRules) async throws {
        let text = "*filter\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n"
        for (_, tool) in kernel.tools.present { try await tool.restore(Array(text.utf8), flush: false) }
    }

    /// Puts the rules in force that are in force on the machine, as far as they can be had on a stage.
    ///
    /// Not nat: what it sends elsewhere goes to containers that the stage does not have. `Effects` tells of those.
    func loadSurroundings(_ kernel: LiveRules, on stage: Stage) async throws -> [String] {
        let notes = await loadSets(kernel)
        return notes + (try await loadRules(kernel)).notes
    }

    /// Makes the machine's sets of addresses on a stage.
    ///
    /// - Parameter kernel: iptables, inside the stage.
    /// - Returns: what could not be had.
    private func loadSets(_ kernel: LiveRules) async -> [String] {
        guard live != nil else { return [] }
        let sets = (try? await IPSets(toolbox: environment.toolbox, runner: environment.runner)?.dump()) ?? ""
        do { try await kernel.sets?.restoreMissing(sets) } catch {
            return ["The sets of addresses (ipset) could not be made on the stage: \(error)"]
        }
        return []
    }

    /// Loads the machine's rules on a stage.
    ///
    /// - Parameter kernel: iptables, inside the stage.
    /// - Returns: the rules of the families in which no others than these are active there now, and what could not be
    ///   had.
    private func loadRules(
        _ kernel: LiveRules
    ) async throws(ChangeError) -> (loaded: PerFamily<RuleSet>, notes: [String]) {
        guard let live else {
            return (
                PerFamily(), ["The rules in force cannot be read without root: rehearsed as on a machine without any."]
            )
        }
        let families = try await kernel.eachFamily(live.present.map(\.family)) { family throws(ChangeError) in
            var notes: [String] = []
            var loaded = RuleSet(tables: [])
            // Table by table: one that cannot be had leaves the others.
            for table in live[family]?.tables ?? [] where table.name != "nat" {
                let input = DumpText.bytes(RuleSet(tables: [table]).text)
                do {
                    try await kernel.tools[family]?.restore(input, flush: true)
                    loaded[table.name] = table
                } catch {
                    notes.append("Other programs' rules in \(table.name) (\(family.rawValue)) take no part: \(error)")
                }
            }
            // Without a filter table of the machine's, what has the kernel know connections is still there.
            return (loaded: notes.isEmpty && loaded["filter"] != nil ? loaded : nil, notes: notes)
        }
        var loaded = PerFamily<RuleSet>()
        for (family, rules) in families.present { loaded[family] = rules.loaded }
        return (loaded, families.present.flatMap(\.value.notes))
    }

    /// A change on the stage, made as the guard makes it.
    ///
    /// - Parameters:
    ///   - piece: the rules.
    ///   - stage: where.
    ///   - loaded: the rules of the families in which it is known what is active there.
    /// - Returns: the change, not yet made.
    /// - Throws: when the rules there cannot be read.
    func change(
        _ piece: Piece, on stage: Stage, loaded: PerFamily<RuleSet> = PerFamily()
    ) async throws(ChangeError) -> RehearsedChange {
        var there = environment
        there.runner = StageRunner(stage, runner: environment.runner)
        return try await RehearsedChange(
            ChangeRequest(
                id: "rehearsal", scope: piece.scope,
                rules: PerFamily(ipv4: piece.rules.ipv4?.text, ipv6: piece.rules.ipv6?.text), backend: backend,
                deadlineSeconds: Deadline.usual, requester: Requester(user: "", address: nil), sshPorts: [], admins: [],
                answers: nil, persists: false, sets: piece.sets),
            in: there, loaded: loaded)
    }
}

extension RuleSet {
    /// The sources that rules of other programs are about.
    fileprivate var networksSpokenOf: [CIDR] {
        tables.flatMap(\.rules).filter { !$0.isOwned }.flatMap(\.matches).compactMap { match in
            if case .source(let network, false) = match, network.prefixLength > 0 { network } else { nil }
        }
    }
}

extension IPAddress {
    /// Whether the outside can be given the address.
    fileprivate var canBeOutside: Bool {
        family == .ipv4 ? bytes[0] != 127 : !(bytes.last == 1 && bytes.dropLast().allSatisfy { $0 == 0 })
    }
}

/// This program's own file.
enum OwnProgram {
    /// Its path: /proc/self would be another process's on a stage.
    ///
    /// - Throws: `Failure` where the kernel does not say.
    static func path() throws(Failure) -> String {
        guard let path = ProcessTable().executable(of: OwnProcess.pid) else {
            throw Failure(.failed, "This program's own file cannot be found.")
        }
        return path
    }
}
