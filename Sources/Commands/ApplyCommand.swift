import ArgumentParser
import Host
import Netfilter
import Policy
import SafeApply

/// `latchkey apply`: makes a change from a file, without questions.
struct ApplyCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Apply the answers, and roll back unless you confirm.")

    @OptionGroup var answers: AnswersOptions
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var change: ChangeOptions
    @OptionGroup var observation: ObservationOptions
    @OptionGroup var report: ReportOptions
    @Flag(help: "Return once the new rules are active and pending; don't wait for the outcome.") var detach = false
    @Option(
        help: ArgumentHelp(
            """
            Apply rules from a file instead of answers: for iptables, IPv4 rules in iptables-save format; for nftables, \
            what nft -f reads; - is standard input.
            """, valueName: "file"))
    var rules: String?
    @Option(help: ArgumentHelp("Apply IPv6 rules too (only with iptables); requires --rules.", valueName: "file"))
    var rules6: String?

    func validate() throws {
        if rules != nil || rules6 != nil, answers.file != nil {
            throw ValidationError("--rules replaces --answers: use only one of them.")
        }
        if observation.count > 1 { throw ValidationError("Use only one of --observe, --enforce and --stop-observing.") }
        if observation.count > 0, rules != nil { throw ValidationError("Rules from a file cannot be observed.") }
        if observation.enforce || observation.stopObserving, answers.file != nil {
            throw ValidationError("--enforce and --stop-observing concern the observed answers: leave --answers out.")
        }
        if rules6 != nil, rules == nil { throw ValidationError("--rules6 requires --rules.") }
        if rules == "-", rules6 == "-" { throw ValidationError("Only one of --rules and --rules6 can be -.") }
    }

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try await report.reporting(in: context) { () async throws(Failure) in
            try context.requireRoot("apply")
            let changeRunner = ChangeRunner(in: context)
            if observation.stopObserving {
                return try await ObservationRunner(changeRunner).end(report, in: context)
            }
            if observation.observe { return try await observe(changeRunner, in: context) }
            let request = try await request(changeRunner, in: context)
            return try await changeRunner.carryOut(request, detach: detach, report, in: context)
        }
    }

    // MARK: - The rules to apply

    private func request(
        _ changeRunner: ChangeRunner, in context: CommandContext
    ) async throws(Failure) -> ChangeRequest {
        let caller = Caller(context.facts)
        var change = change
        if observation.enforce, change.backend.named == nil, let observed = changeRunner.observedBackend {
            change.backend.backend = observed
        }
        if let rules { return try await handWritten(rules, rules6, caller, changeRunner, in: context) }
        let file =
            observation.enforce
            ? try ObservationRunner(changeRunner).observedAnswers() : try answers.read(in: context)
        let planner = try await Planner(templates, in: context)
        let plan = try planner.plan(try planner.answers(file))
        let backend = try await changeRunner.backend(change.backend)
        try await changeRunner.requirePossible(plan, with: backend)
        let rules = try planner.rules(plan, for: backend)
        context.console.warnAboutUnreachableServices(in: plan)
        context.console.noteAnswers(in: plan)
        try await changeRunner.requireNothingPending()
        let takeOver = try await changeRunner.takeOver(
            change.takeOver.isWanted, facts: context.facts
        ) { () throws(Failure) in backend == .nftables ? nil : try planner.table(plan).map(TakeOver.shield) }
        if let note = ChangeRunner.note(of: takeOver) { context.console.say(Wrapping.text(note)) }
        if change.rehearsal.isSkipped {
            context.console.say(RehearsalOptions.skipped)
        } else {
            var rehearsalRunner = try await RehearsalRunner(changeRunner, change.backend, caller: caller)
            rehearsalRunner.takeOver = takeOver
            try await rehearsalRunner.requireRehearsal(of: plan, rules, in: context)
        }
        var request = try await changeRunner.request(
            plan, rules: rules, caller: caller, options: change, layout: context.layout)
        request.takeOver = takeOver
        return request
    }

    /// Loads the rules so that they count what they would drop.
    private func observe(
        _ changeRunner: ChangeRunner, in context: CommandContext
    ) async throws(Failure) -> ProgramStatus {
        let planner = try await Planner(templates, in: context)
        let plan = try planner.plan(try planner.answers(try answers.read(in: context)))
        let backend = try await changeRunner.backend(change.backend)
        try await changeRunner.requireNothingPending()
        let rules = try planner.rules(plan, for: backend)
        return try await ObservationRunner(changeRunner).begin(plan, rules, backend, report, in: context)
    }

    private func handWritten(
        _ path: String, _ path6: String?, _ caller: Caller, _ changeRunner: ChangeRunner, in context: CommandContext
    ) async throws(Failure) -> ChangeRequest {
        let ports = await SSHServer(context.facts).ports(
            sshd: changeRunner.environment.toolbox.find("sshd"), runner: changeRunner.environment.runner)
        let backend = try await changeRunner.backend(change.backend)
        guard backend != .nftables else {
            guard path6 == nil else {
                throw Failure(.usage, "--rules6 is for iptables: with nftables, one file holds both families.")
            }
            return try await handWrittenTables(path, caller, changeRunner, ports.ports, in: context)
        }
        var sources = PerFamily<String>()
        var sets = PerFamily<RuleSet>()
        for case (let family, let path?) in [(Family.ipv4, path), (.ipv6, path6)] {
            let name = path == "-" ? "standard input" : path
            sources[family] = name
            let file = try NamedText(name: name, path: path == "-" ? nil : path, in: context)
            sets[family] = try await Self.rules(file, family, backend, changeRunner.environment)
        }
        try await changeRunner.requireNothingPending()
        let takeOver = try await changeRunner.takeOver(
            change.takeOver.isWanted, facts: context.facts, shield: { TakeOver.closedShield })
        if let note = ChangeRunner.note(of: takeOver) { context.console.say(Wrapping.text(note)) }
        if change.rehearsal.isSkipped {
            context.console.say(RehearsalOptions.skipped)
        } else {
            var rehearsalRunner = try await RehearsalRunner(changeRunner, change.backend, caller: caller)
            rehearsalRunner.takeOver = takeOver
            try await rehearsalRunner.requireSSHAccess(sets, in: context)
        }
        var request = ChangeRequest(
            id: changeRunner.freshID(), scope: .tables,
            rules: PerFamily(ipv4: sets.ipv4?.text, ipv6: sets.ipv6?.text),
            sources: sources, backend: backend,
            deadlineSeconds: change.deadline.seconds, requester: caller.requester,
            sshPorts: ports.ports.isEmpty ? [22] : ports.ports, admins: [], answers: nil, persists: true)
        request.retirement = try await changeRunner.retirement(for: backend)
        request.takeOver = takeOver
        return request
    }

    /// The change to the tables that a file for nft(8) makes.
    private func handWrittenTables(
        _ path: String, _ caller: Caller, _ changeRunner: ChangeRunner, _ ports: [UInt16], in context: CommandContext
    ) async throws(Failure) -> ChangeRequest {
        let name = path == "-" ? "standard input" : path
        let file = try NamedText(name: name, path: path == "-" ? nil : path, in: context)
        let environment = changeRunner.environment
        let text: String
        do {
            let kernel = try LiveTables(toolbox: environment.toolbox, runner: environment.runner)
            text = try await HandWrittenTables(kernel).tables(file.text, named: name).map(\.text).joined()
        } catch { throw Failure(error) }
        if file.text.contains("flush ruleset") {
            context.console.say(
                Wrapping.text("\(name) flushes all tables. latchkey changes only the tables that the file defines."))
        }
        try await changeRunner.requireNothingPending()
        let takeOver = try await changeRunner.takeOver(change.takeOver.isWanted, facts: context.facts)
        if let note = ChangeRunner.note(of: takeOver) { context.console.say(Wrapping.text(note)) }
        if change.rehearsal.isSkipped {
            context.console.say(RehearsalOptions.skipped)
        } else {
            var rehearsalRunner = await RehearsalRunner(changeRunner, .nftables, caller: caller)
            rehearsalRunner.takeOver = takeOver
            try await rehearsalRunner.requireSSHAccess(PerFamily(), tables: text, in: context)
        }
        var request = ChangeRequest(
            id: changeRunner.freshID(), scope: .tables, rules: PerFamily(), tables: text,
            sources: PerFamily(ipv4: name), backend: .nftables, deadlineSeconds: change.deadline.seconds,
            requester: caller.requester, sshPorts: ports.isEmpty ? [22] : ports, admins: [], answers: nil,
            persists: true)
        request.retirement = try await changeRunner.retirement(for: .nftables)
        request.takeOver = takeOver
        return request
    }

    /// The rules of a hand-written file, as the tool prints them after it has loaded them in a throwaway network.
    ///
    /// latchkey's own reader explains a mistake better than the tool does, but what the tool accepts is valid.
    private static func rules(
        _ file: NamedText, _ family: Family, _ backend: Backend, _ environment: ChangeEnvironment
    ) async throws(Failure) -> RuleSet {
        var mistake: RuleSetError?
        var parsed = RuleSet()
        do {
            parsed = try RuleSet(parsing: file.text, file: file.name, for: family)
            try parsed.requireChains(file: file.name)
        } catch { mistake = error }
        let lines = file.text.split(whereSeparator: \.isNewline)
        guard lines.contains(where: { $0.hasPrefix("*") }) else {
            if lines.contains(where: { $0.hasPrefix("table ") || $0.hasPrefix("flush ruleset") }) {
                throw Failure(
                    .badData, "\(file.name): the file is for nft, not for iptables.",
                    activeRules: Failure.nothingChanged, next: "apply it with --backend nftables.")
            }
            if let mistake { throw bad(mistake) }
            throw Failure(
                .badData, "\(file.name): the file contains no table.", activeRules: Failure.nothingChanged,
                next: "add one: a table begins with a line such as \"*filter\" and ends with \"COMMIT\".")
        }
        do {
            let kernel = try await LiveRules(
                backend: backend, families: [family], toolbox: environment.toolbox, runner: environment.runner)
            let read = try await HandWrittenRules(kernel).rules(file.text, named: file.name, family)
            if let read { return read }
        } catch .rulesRefused(let source, let line, let message) {
            if let mistake { throw bad(mistake) }
            throw Failure(ChangeError.rulesRefused(source: source, line: line, message: message))
        } catch { throw Failure(error) }
        // No throwaway network can be made here, so only latchkey's own reader has checked the file.
        if let mistake { throw bad(mistake) }
        return parsed.normalized()
    }

    private static func bad(_ mistake: RuleSetError) -> Failure {
        // On one line, so that the next step is indented like the rest.
        Failure(
            .badData, mistake.description.replacing("\n", with: " "), activeRules: Failure.nothingChanged,
            next: "correct the file and try again.")
    }
}
