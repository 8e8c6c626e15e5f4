import Host
import Netfilter

/// The steps of one change on the kernel: snapshot, apply, put back, open.
///
/// No journal, no clock, no socket.
struct Transaction: Sendable {
    let request: ChangeRequest
    let kernel: LiveRules
    /// How often rules are loaded at the most until a dump shows them.
    private static let loads = 3
    /// The plan of each family that the kernel has, without tables that the kernel lacks.
    private(set) var plan: PerFamily<RuleSet>

    /// Reads the request's rules and finds the tools.
    ///
    /// - Parameters:
    ///   - request: what is to be done.
    ///   - isNew: whether the kernel has still to be asked which tables it has; a change that is carried on knows.
    ///   - surroundings: the machine.
    /// - Throws: `badRules`, `host`.
    init(_ request: ChangeRequest, isNew: Bool, in surroundings: Surroundings) async throws(ChangeError) {
        self.request = request
        kernel = try await LiveRules(
            backend: request.backend, families: surroundings.families, toolbox: surroundings.toolbox,
            runner: surroundings.runner)
        var plan = PerFamily<RuleSet>()
        for (family, text) in request.rules.present where kernel.tools[family] != nil {
            let read: RuleSet
            do { read = try RuleSet(dumped: text, file: "\(family.rawValue) rules") } catch { throw .badRules(error) }
            plan[family] = isNew && request.scope == .tables ? try await kernel.supported(read, family) : read
        }
        self.plan = plan
    }

    /// Takes the rules and sets of this moment.
    func snapshot(in surroundings: Surroundings) async throws(ChangeError) -> Snapshot {
        guard let tool = kernel.tools.present.first?.value else {
            throw .refused(reason: "This kernel has neither IPv4 nor IPv6.")
        }
        for (family, plan) in plan.present {
            let live = try await kernel.read(family)
            let hidden = live.unreadableTables + (request.scope == .tables ? live.partlyReadTables : [])
            let unreadable = hidden.filter { plan[$0] != nil }
            guard unreadable.isEmpty else {
                throw .refused(
                    reason:
                        "The table \(unreadable.joined(separator: ", ")) (\(family.rawValue)) holds rules made with "
                        + "nft that iptables cannot print: they could not be put back. Remove them first "
                        + "(nft list ruleset shows them).")
            }
        }
        do {
            let snapshot = Snapshot(
                meta: Snapshot.Meta(
                    id: request.id, date: surroundings.clock.date(), bootID: surroundings.bootID,
                    backend: tool.backend, version: try await tool.version(), requester: request.requester,
                    sha256: [:]),
                rules: try await kernel.dump(), sets: try await kernel.sets?.dump() ?? "",
                saved: Persistence(surroundings).saved())
            try await testWayBack(snapshot)
            return snapshot
        } catch let error as ChangeError {
            throw error
        } catch let error as HostError {
            throw .host(error)
        } catch {
            throw .refused(reason: "\(error)")
        }
    }

    /// Asks the tools whether they would take the present rules back, as far as the change reaches.
    ///
    /// iptables-save prints what iptables-restore refuses: a comment with a line end in it, for example.
    private func testWayBack(_ snapshot: Snapshot) async throws(ChangeError) {
        for (family, plan) in plan.present {
            guard let earlier = try snapshot.ruleSet(family) else { continue }
            let input = RuleEdits.revert(to: earlier, plan: plan, scope: request.scope, live: earlier)
            let rules = input.inputChain?.rules ?? plan.tables.flatMap { earlier[$0.name]?.rules ?? [] }
            if let rule = rules.first(where: { !$0.isRestorable }) {
                throw Self.noWayBack(family, rule.withoutCounters.text, "iptables-restore cannot read what it is.")
            }
            do { try await kernel.test(input, family) } catch .host(.rulesRefused(_, let line, let message)) {
                let lines = input.text.split(separator: "\n", omittingEmptySubsequences: false)
                let text = line.flatMap { lines.indices.contains($0 - 1) ? String(lines[$0 - 1]) : nil }
                throw Self.noWayBack(family, text, "iptables-restore says: \(message)")
            }
        }
    }

    private static func noWayBack(_ family: Family, _ rule: String?, _ why: String) -> ChangeError {
        let text = rule.map { ": \($0.quoted(limit: 120))" } ?? ""
        return .refused(
            reason: "A rule that is in force now (\(family.rawValue)) could not be put back\(text). \(why) "
                + "Remove or rewrite that rule first.")
    }

    /// Asks the tools whether they understand the plan; nothing changes.
    func test() async throws(ChangeError) {
        try await makeSets()
        for (family, plan) in plan.present {
            let input = try await input(plan, family)
            do { try await kernel.test(input, family) } catch { throw named(error, plan, family, until: nil) }
        }
    }

    /// A tool's complaint about rules, with the file and the line that a person knows.
    private func named(_ error: ChangeError, _ plan: RuleSet, _ family: Family, until: Int64?) -> ChangeError {
        guard case .host(.rulesRefused(_, let line, let message)) = error else { return error }
        let written = request.isCanonical ? line : line.map { RuleEdits.writtenLine($0, of: plan, until: until) }
        let source = request.sources[family] ?? "\(family.rawValue) rules"
        return .rulesRefused(source: source, line: written, message: Self.plain(message))
    }

    /// iptables-restore's message on one line: without its own name, its advice, and its line, which is not that of
    /// the person's file.
    static func plain(_ message: String) -> String {
        let lines = message.split(whereSeparator: \.isNewline).filter { line in
            !line.hasPrefix("Error occurred at line") && !line.hasPrefix("Try `")
        }
        return lines.joined(separator: " ").replacing(#/^\S+ v\S+ \((nf_tables|legacy)\):\s+/#, with: "")
            .replacing(#/^line \d+: /#, with: "")
    }

    private func input(_ plan: RuleSet, _ family: Family) async throws(ChangeError) -> RestoreInput {
        guard request.isCanonical else { return RuleEdits.asWritten(plan, until: nil) }
        return RuleEdits.apply(plan, scope: request.scope, live: try await kernel.read(family))
    }

    /// Puts the plan in force, family by family, and compares a fresh dump with it.
    ///
    /// Rules written by hand need not look as they will be printed: the tool's word that it loaded them counts, and
    /// its print becomes the plan. They have their expiry from the first load on; the second one, of what was printed,
    /// reaches what was written in a way that only iptables reads (`-jDROP`).
    ///
    /// - Parameter until: when the kernel itself stops dropping (seconds since 1970); nil for the permanent form.
    /// - Throws: when it is not wholly in force; the caller puts the snapshot back.
    mutating func apply(until: Int64?) async throws(ChangeError) {
        for (family, plan) in plan.present {
            if request.isCanonical {
                let form = until.map { Expiry.pending(plan, until: $0) } ?? plan
                try await load(family) { RuleEdits.apply(form, scope: request.scope, live: $0) }
            } else {
                do { try await kernel.load(RuleEdits.asWritten(plan, until: until), family) } catch {
                    throw named(error, plan, family, until: until)
                }
                let live = try await kernel.read(family)
                let names = Set(plan.tables.map(\.name))
                let printed = RuleSet(tables: live.tables.filter { names.contains($0.name) })
                self.plan[family] = until.map { Expiry.permanent(of: printed, until: $0) } ?? printed
            }
        }
        if !request.isCanonical, let until { try await move(from: until, to: until) }
    }

    /// Gives the live rules another moment of expiry.
    ///
    /// - Throws: when a fresh dump does not show it.
    func move(from earlier: Int64, to until: Int64) async throws(ChangeError) {
        for (family, plan) in plan.present {
            try await load(family) {
                Expiry.moved(plan, scope: request.scope, live: $0, from: earlier, to: until)
            }
        }
    }

    /// Takes the expiry out of the live rules.
    ///
    /// - Throws: when a fresh dump does not show the permanent form.
    func settle(from until: Int64) async throws(ChangeError) {
        for (family, plan) in plan.present {
            try await load(family) { Expiry.permanent(plan, scope: request.scope, live: $0, until: until) }
        }
    }

    /// What a person should know who keeps composed rules: what somebody put into INPUT inside the window stays there,
    /// and may let in what the answers do not.
    ///
    /// Trouble is of no consequence: the rules are in force.
    func strangersNotes() async -> [String] {
        guard request.origin == .answers else { return [] }
        var notes: [String] = []
        for (family, plan) in plan.present where plan["filter"] != nil {
            guard let live = try? await kernel.read(family), let rule = RuleEdits.unowned(in: live).first else {
                continue
            }
            notes.append(
                "INPUT (\(family.rawValue)) also holds rules that are not latchkey's, and they decide too: "
                    + "\(rule.withoutCounters.text.quoted(limit: 120)).")
        }
        return notes
    }

    /// Loads what is made of the live rules and compares a fresh dump with it; again, where another program may have
    /// changed the rules between the two.
    private func load(_ family: Family, _ input: (RuleSet) -> RestoreInput) async throws(ChangeError) {
        var differences: [String] = []
        for _ in 1...Self.loads {
            let input = input(try await kernel.read(family))
            try await kernel.load(input, family)
            differences = RuleEdits.differences(live: try await kernel.read(family), from: input)
            if differences.isEmpty { return }
        }
        throw .refused(
            reason: "The kernel did not take the rules as they were given (\(family.rawValue)): "
                + differences.joined(separator: "; ") + ".")
    }

    /// Makes the kernel track connections before anything is dropped: without it, a connection that is older than
    /// the first rule with a conntrack match would be new to that rule, and cut.
    ///
    /// The rule stands at the end of INPUT, accepts what the policy or the rules before it have let through anyway,
    /// and goes with the next load of INPUT; a plan that does not load INPUT drops nothing and needs none.
    func startTracking() async throws(ChangeError) {
        let text = """
            *filter
            -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment \
            "\(Rule.ownershipPrefix)replies, until the rules are in force" -j ACCEPT
            COMMIT

            """
        for (family, plan) in plan.present where plan["filter"] != nil {
            try await kernel.load(RestoreInput(text: text, flush: false, counters: false, inputChain: nil), family)
        }
    }

    /// Puts the snapshot's rules back and compares a fresh dump with them, each family by itself, so that trouble
    /// with one does not keep the other from its rules.
    ///
    /// - Throws: the first trouble, after every family has been tried.
    func putBack(_ snapshot: Snapshot) async throws(ChangeError) {
        var trouble: ChangeError?
        if let sets = kernel.sets, !snapshot.sets.isEmpty {
            // A set that is there keeps what it holds: what others took out meanwhile stays out.
            do {
                try await sets.restoreMissing(Restoration.missingSets(snapshot.sets, live: try await sets.dump()))
            } catch { trouble = .host(error) }
        }
        for (family, plan) in plan.present {
            do {
                guard let earlier = try snapshot.ruleSet(family) else { continue }
                let live = try await kernel.read(family)
                let input = RuleEdits.revert(to: earlier, plan: plan, scope: request.scope, live: live)
                try await kernel.load(input, family)
                let differences = RuleEdits.differences(live: try await kernel.read(family), from: input)
                if !differences.isEmpty {
                    throw ChangeError.refused(reason: differences.joined(separator: "; "))
                }
                await kernel.removeEmptyTables(plan.tables.map(\.name).filter { earlier[$0] == nil }, family)
            } catch let error as ChangeError {
                trouble = trouble ?? error
            } catch {
                trouble = trouble ?? .refused(reason: "\(error)")
            }
        }
        await removeMadeSets()
        if let trouble { throw trouble }
    }

    /// Lets SSH and the admins in ahead of all other rules, and looks whether a fresh dump shows it.
    ///
    /// - Throws: the first trouble, after every family has been tried.
    func open() async throws(ChangeError) {
        var trouble: ChangeError?
        for (family, _) in kernel.tools.present {
            let input = RuleEdits.emergencyOpening(
                family: family, sshPorts: request.sshPorts, admins: request.admins)
            do {
                // What an earlier attempt has opened is not opened twice.
                if let live = try? await kernel.read(family), RuleEdits.isOpened(live, by: input) { continue }
                do { try await kernel.load(input, family) } catch {
                    // What keeps iptables-restore from its work may leave iptables to its own.
                    let rules = RuleEdits.emergencyRules(
                        family: family, sshPorts: request.sshPorts, admins: request.admins)
                    for rule in rules { try await kernel.insert(rule, family) }
                }
                guard RuleEdits.isOpened(try await kernel.read(family), by: input) else {
                    throw ChangeError.refused(reason: "The opening does not stand ahead of all other rules.")
                }
            } catch let error as ChangeError {
                trouble = trouble ?? error
            } catch {
                trouble = trouble ?? .refused(reason: "\(error)")
            }
        }
        if let trouble { throw trouble }
    }
}
