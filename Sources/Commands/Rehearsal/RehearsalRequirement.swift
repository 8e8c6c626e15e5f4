import Interview
import Netfilter
import Policy
import Rehearsal
import SafeApply

// The rehearsal that commands require before they change rules.
extension RehearsalRunner {
    /// Requires that a plan does what its answers promise, and that it allows a new SSH login from the present address.
    ///
    /// Where no stage can be made, only the answers are checked, with a warning.
    ///
    /// - Throws: `Failure` with status 4 for any other plan.
    func requireRehearsal(
        of plan: Plan, _ rules: ComposedRules, in context: CommandContext
    ) async throws(Failure) {
        let result: RehearsalResult
        do { result = try await rehearse(plan, rules) } catch {
            context.console.say(Self.checkedByAnswers(error))
            if let lockout = lockoutByAnswers(of: plan) { throw Failure(lockoutByAnswers: lockout) }
            return
        }
        try Self.pass(result, in: context)
    }

    /// Requires that hand-written rules allow a new SSH login from the present address; they promise nothing else.
    ///
    /// - Parameters:
    ///   - rules: the rules for iptables.
    ///   - tables: the tables of the backend nftables, as nft(8) reads them; nil for iptables.
    ///   - scope: the scope of the change.
    ///   - next: what to do about a refusal; nil for the advice about hand-written rules.
    ///   - context: where messages go.
    /// - Throws: `Failure` with status 4 for any other rules.
    func requireSSHAccess(
        _ rules: PerFamily<RuleSet>, tables: String? = nil, scope: ChangeScope = .tables, next: String? = nil,
        in context: CommandContext
    ) async throws(Failure) {
        let machine = await machine(reaching: [])
        let expectations = expectationsOfCaller(on: machine)
        guard !expectations.isEmpty else {
            if let you { context.console.say(Wrapping.text(Self.unchecked + " \(you) cannot be used in a rehearsal.")) }
            return
        }
        let result: RehearsalResult
        do {
            result = try await rehearse(
                Piece(rules: rules, tables: tables, sets: "", scope: scope), expectations, on: machine)
        } catch {
            context.console.say(Wrapping.text("\(Self.unchecked) \(Self.reason(error))"))
            return
        }
        do { try Self.pass(result, in: context) } catch {
            var failure = error
            failure.next =
                next
                ?? "add a rule that allows \(you.map { "\($0)" } ?? "your address") on the SSH port, or override with "
                + "--no-rehearsal."
            throw failure
        }
    }

    private static func pass(_ result: RehearsalResult, in context: CommandContext) throws(Failure) {
        for note in result.allNotes { context.console.say(Wrapping.text(note)) }
        if let refusal = result.refusal { throw refusal }
        context.console.say("Rehearsal passed: \(result.successText)")
    }

    private static let unchecked = "No rehearsal: latchkey did not check whether this change locks you out."

    /// The present SSH connection, if the answers say that the plan blocks it: for when it cannot be tested with
    /// packets.
    func lockoutByAnswers(of plan: Plan) -> Lockout? {
        let interface = you.flatMap { RehearsalMachine(environment.facts, families: [$0.family]).addresses.facing($0) }
        guard let you, let yourPort,
            !plan.accepts(from: you, transport: .tcp, port: yourPort, on: interface?.interface)
        else { return nil }
        return Lockout(peer: you, port: yourPort)
    }

    private static func checkedByAnswers(_ error: any Error) -> String {
        Wrapping.text("No rehearsal: only the answers were checked, no packets were sent. \(reason(error))")
    }

    private static func reason(_ error: any Error) -> String { Failure(rehearsal: error).what }

    /// The report of a rehearsal for the wizard.
    func report(_ plan: Plan, _ rules: ComposedRules) async -> RehearsalReport {
        let result: RehearsalResult
        do { result = try await rehearse(plan, rules) } catch {
            if let lockout = lockoutByAnswers(of: plan) {
                return .lockout(peer: "\(lockout.peer)", port: lockout.port)
            }
            return .skipped("Only the answers were checked, no packets were sent. \(Self.reason(error))")
        }
        if let lockout = result.lockout {
            return .lockout(
                peer: "\(lockout.expectation.source)", port: lockout.expectation.packet.port ?? yourPort ?? 22)
        }
        if let lockout = result.lockoutByAnswers {
            return .lockout(peer: "\(lockout.peer)", port: lockout.port)
        }
        guard result.differences.isEmpty else {
            return .failed(
                probes: result.verdicts.count,
                differences: result.differences.map { verdict in
                    RehearsalReport.Difference(
                        from: "\(verdict.expectation.source)", packet: verdict.expectation.packet.title,
                        expectedOpen: verdict.expectation.isAccepted, untried: verdict.untried,
                        rule: verdict.decision?.text, question: verdict.expectation.answer.flatMap(Question.init))
                })
        }
        return .passed(
            probes: result.tried, untried: result.untried, milliseconds: result.milliseconds,
            login: result.login.map { "\($0)" })
    }
}

extension Question {
    /// The question that an answer belongs to; nil if there is none.
    init?(_ answer: Permission.Answer) {
        let question: Question? =
            switch answer {
            case .admins: .admins
            case .ssh: .ssh
            case .service: .services
            case .ports: .ports
            case .ping: .ping
            case .block: nil
            }
        guard let question else { return nil }
        self = question
    }
}
