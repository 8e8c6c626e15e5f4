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
    /// The client's address of the present SSH connection, and its server port.
    var you: IPAddress?
    var yourPort: UInt16?
    /// The server's address of that connection.
    var yourServerAddress: IPAddress?
    /// The active rules; nil if only root can read them.
    let live: LiveFirewall?
    /// The kept rules of another backend, which go with a change.
    let retirement: Retirement?
    /// The other firewall managers that go with a change; nil for none.
    var takeOver: TakeOver?
    /// Why root cannot read the rules.
    private let unreadable: ChangeError?

    /// Rules to rehearse.
    struct Piece: Sendable {
        /// The rules of each family, for iptables.
        var rules: PerFamily<RuleSet>
        /// The table of the backend nftables, as nft(8) reads it; nil for iptables.
        var tables: String?
        /// Commands for `ipset restore` that make the sets of the rules.
        var sets: String
        /// Their scope.
        var scope: ChangeScope
    }

    /// Reads the active rules, if permitted.
    ///
    /// - Throws: `Failure` with status 69 if the backend is not installed.
    init(_ changeRunner: ChangeRunner, _ options: BackendOptions, caller: Caller) async throws(Failure) {
        await self.init(changeRunner, try await changeRunner.backend(options), caller: caller)
    }

    /// Reads the active rules of one backend, if permitted.
    init(_ changeRunner: ChangeRunner, _ backend: Backend, caller: Caller) async {
        environment = changeRunner.environment
        self.backend = backend
        you = caller.peer
        yourPort = caller.peerPort
        yourServerAddress = caller.serverAddress
        do {
            live = try await LiveFirewall(backend, in: changeRunner.environment)
            retirement = try? await changeRunner.retirement(for: backend)
            unreadable = nil
        } catch {
            live = nil
            retirement = nil
            unreadable = geteuid() == 0 ? error : nil
        }
    }

    // MARK: - Expectations

    /// The machine that the stage for a plan copies, with the interfaces that the plan's hosts use.
    func machine(for plan: Plan) async -> RehearsalMachine {
        let expectations = expectations(plan, on: RehearsalMachine(environment.facts, families: environment.families))
        return await machine(
            reaching: expectations.flatMap { [$0.source, $0.target] }, interfaces: plan.namedInterfaces.map(\.text))
    }

    /// The machine that the stage for these hosts copies, with these interfaces even where it does not have them.
    func machine(reaching hosts: [IPAddress], interfaces: [String] = []) async -> RehearsalMachine {
        let hosts = Set(hosts + [you].compactMap(\.self)).sorted()
        let lookup = try? RouteLookup(toolbox: environment.toolbox, runner: environment.runner)
        let routes = (try? await lookup?.interfaces(to: hosts)) ?? [:]
        return RehearsalMachine(
            environment.facts, families: environment.families, you: you, serverAddress: yourServerAddress,
            routes: routes, interfaces: interfaces)
    }

    /// What a plan promises on this machine.
    func expectations(_ plan: Plan, on machine: RehearsalMachine) -> [Expectation] {
        plan.expectations(in: scene(machine))
    }

    /// The expectation that a new SSH login from the present address is allowed; empty without an SSH connection.
    func expectationsOfCaller(on machine: RehearsalMachine) -> [Expectation] {
        Expectation.ofCaller(in: scene(machine))
    }

    /// What the expectations on this machine depend on.
    func scene(_ machine: RehearsalMachine) -> ExpectationContext {
        let rules = environment.families.flatMap { live?.all($0) ?? [] }
        let tables = live?.tables ?? []
        return ExpectationContext(
            servers: machine.addresses, you: you, yourPort: yourPort, listening: machine.listening,
            namedByOtherRules: rules.flatMap(\.sourcesInOtherRules) + tables.flatMap(\.sourcesInOtherRules),
            namedForGood: rules.flatMap(\.sourcesForGood) + tables.flatMap(\.sourcesForGood))
    }

    // MARK: - Rehearsing

    /// Tests rules with packets, first in the pending form and then in the kept form.
    ///
    /// - Parameters:
    ///   - piece: the rules.
    ///   - expectations: what the rules should do.
    ///   - machine: the machine that the stage copies.
    ///   - containers: the containers on the stage, if the expectations are about them.
    /// - Returns: the verdicts.
    /// - Throws: `StageError` if no stage can be made or it fails; `HostError`, `ChangeError` if the rules cannot be
    ///   applied on it.
    func rehearse(
        _ piece: Piece, _ expectations: [Expectation], on machine: RehearsalMachine,
        containers: [StageContainers] = []
    ) async throws -> RehearsalResult {
        let begun = ContinuousClock.now
        if let unreadable { throw unreadable }
        let stage = try await open(expectations, on: machine, containers)
        defer { stage.close() }
        let path: PacketPath = containers.isEmpty ? .incoming : .forwarded
        let kernel = try await StageKernel(stage, backend, environment, path: path)
        // Sets alone block nothing, and large ones are slow to create.
        let sampled = SampledSets(expectations.flatMap { [$0.source, $0.target] })
        async let sets = loadSets(kernel, sampled)

        let rehearsal = kernel.rehearsal
        try await rehearsal.listen(for: expectations)
        var untested = try await rehearsal.control(expectations)
        try await kernel.track()
        untested.merge(try await rehearsal.connect(expectations)) { first, _ in first }

        let setNotes = await sets
        let existing = try await loadRules(kernel, sampled)
        try await kernel.endTracking()
        var change = try await change(piece.with(sampled), on: stage, loaded: existing.loaded)
        (kernel.counters as? IPTablesCounters)?.look(at: scopes(piece, path))
        try await change.activateTrial()
        var pending = try await rehearsal.verdicts(
            expectations.filter { !$0.isForOnce }, untested: untested,
            deciding: takeOver == nil ? .mistakes : .onlyUnseen)
        try await live?.removeRules(of: takeOver, on: kernel)
        try await change.makePermanent()
        let permanent = try await rehearsal.verdicts(expectations, untested: untested)
        // In both forms the same rule counts.
        for (place, verdict) in permanent.enumerated() where verdict.expectation.isForOnce {
            pending.insert(verdict, at: place)
        }
        return RehearsalResult(
            verdicts: permanent, pending: pending,
            milliseconds: Int((ContinuousClock.now - begun) / .milliseconds(1)), notes: setNotes + existing.notes,
            takenOver: takeOver?.names)
    }

    /// Which counters are read in families that have too many rules to read all of them.
    private func scopes(_ piece: Piece, _ path: PacketPath) -> [Family: CounterScope] {
        var scopes: [Family: CounterScope] = [:]
        for (family, rules) in live?.rules.first?.rules.present ?? [] {
            let planned = piece.rules[family] ?? RuleSet(tables: [])
            scopes[family] = CounterScope(existing: rules, planned: planned, path: path)
        }
        return scopes
    }

    /// A stage that looks like this machine, without rules.
    func open(
        _ expectations: [Expectation], on machine: RehearsalMachine, _ containers: [StageContainers] = []
    ) async throws -> Stage {
        let servers = machine.addresses.map(\.address) + containers.flatMap(\.members)
        let outside = Set(
            expectations.flatMap { [$0.source, $0.target] }.filter { $0.canBeOutside && !servers.contains($0) })
        let agent = [try OwnProgram.path(), "probe-agent"]
        let tools = try StageTools(environment.toolbox)
        let addresses = StageAddresses(
            server: machine.addresses, outside: outside.sorted(), containers: containers)
        let stage: Stage
        do throws(StageError) {
            stage = try await Stage.open(agent: agent, tools: tools, addresses: addresses)
        } catch {
            guard case .agent = error else { throw error }
            // On a busy machine, a veth pair may not have come up in time: try once more.
            stage = try await Stage.open(agent: agent, tools: tools, addresses: addresses)
        }
        // Where the kernel does not permit it, its defaults stay.
        try? await stage.apply(TrackingSettings(environment.facts))
        return stage
    }

    /// The programs for rules, inside the stage.
    func kernel(of stage: Stage) async throws -> StageKernel { try await StageKernel(stage, backend, environment) }

    /// Loads the machine's active rules on the stage, as far as the stage supports them.
    ///
    /// Not nat: it forwards packets to containers that the stage does not have; `PlanEffects` reports those ports.
    ///
    /// - Returns: notes about rules that could not be loaded.
    func loadLiveRules(_ kernel: StageKernel) async throws -> [String] {
        let notes = await loadSets(kernel)
        return notes + (try await loadRules(kernel)).notes
    }

    /// Creates the machine's address sets on a stage.
    ///
    /// - Parameters:
    ///   - kernel: the programs inside the stage.
    ///   - sampled: which part of latchkey's own sets is enough; nil for all of them.
    /// - Returns: what could not be created.
    private func loadSets(_ kernel: StageKernel, _ sampled: SampledSets? = nil) async -> [String] {
        guard live != nil else { return [] }
        let sets = (try? await IPSets(toolbox: environment.toolbox, runner: environment.runner)?.dump()) ?? ""
        do { try await kernel.sets?.restoreMissing(sampled?.commands(sets) ?? sets) } catch {
            return ["The address sets (ipset) could not be created for the rehearsal: \(error)"]
        }
        return []
    }

    /// Loads the machine's rules on a stage.
    ///
    /// - Parameters:
    ///   - kernel: the programs inside the stage.
    ///   - sampled: which part of latchkey's own sets is enough; nil for all of them.
    /// - Returns: the rules of the families in which these and no others are active there now, and notes about those that
    ///   could not be loaded.
    /// - Throws: `ChangeError` if a family's tools cannot be run.
    private func loadRules(
        _ kernel: StageKernel, _ sampled: SampledSets? = nil
    ) async throws(ChangeError) -> (loaded: PerFamily<RuleSet>, notes: [String]) {
        guard var live else {
            return (PerFamily(), ["Only root can read the active rules: the rehearsal ran without them."])
        }
        if let sampled { live.tables = live.tables.map(sampled.table) }
        return try await live.load(on: kernel)
    }

    /// A change on the stage, made by the guard's own code.
    ///
    /// - Parameters:
    ///   - piece: the rules.
    ///   - stage: the stage.
    ///   - loaded: the rules of the families whose active rules are known.
    /// - Returns: the change, not yet made.
    /// - Throws: if the stage's rules cannot be read.
    func change(
        _ piece: Piece, on stage: Stage, loaded: PerFamily<RuleSet> = PerFamily()
    ) async throws(ChangeError) -> RehearsedChange {
        var there = environment
        there.runner = StageRunner(stage, runner: environment.runner)
        var request = ChangeRequest(
            id: "rehearsal", scope: piece.scope,
            rules: PerFamily(ipv4: piece.rules.ipv4?.text, ipv6: piece.rules.ipv6?.text),
            tables: piece.tables, backend: backend, deadlineSeconds: Deadline.usual,
            requester: Requester(user: "", address: nil), sshPorts: [], admins: [], answers: nil, persists: false,
            sets: piece.sets)
        // Without root the stage has none of the active rules, so there is nothing to take away either.
        if live != nil {
            request.retirement = retirement
            request.takeOver = takeOver
        }
        return try await RehearsedChange(request, in: there, loaded: loaded)
    }
}

extension IPAddress {
    /// Whether a host outside the server can have the address.
    fileprivate var canBeOutside: Bool {
        family == .ipv4 ? bytes[0] != 127 : !(bytes.last == 1 && bytes.dropLast().allSatisfy { $0 == 0 })
    }
}

/// The file of this program.
enum OwnProgram {
    /// Its path; on a stage, /proc/self would be another process.
    ///
    /// - Throws: `Failure` if the kernel does not show it.
    static func path() throws(Failure) -> String {
        guard let path = ProcessTable().executable(of: OwnProcess.pid) else {
            throw Failure(.failed, "Cannot find the path of the latchkey program.")
        }
        return path
    }
}
