import Interview
import Netfilter
import Policy
import Rehearsal
import SafeApply

// What a rehearsal means to the commands that change the rules.
extension Rehearsing {
    /// Lets a plan pass that does what it promises and lets the present SSH connection in anew.
    ///
    /// Where no stage can be made, the answers alone are looked at, and that is said.
    ///
    /// - Throws: `Failure` with status 4 for any other plan.
    func requirePromises(
        of plan: Plan, _ rules: PerFamily<RuleSet>, caller: Caller, in context: CommandContext
    ) async throws(Failure) {
        let result: RehearsalResult
        do { result = try await rehearse(plan, rules) } catch {
            context.console.say(Self.onPaper(error))
            try caller.requireOpenDoor(plan)
            return
        }
        try Self.pass(result, in: context)
    }

    /// Lets rules pass that a person wrote, if the present SSH connection gets in anew; nothing else is known of them.
    ///
    /// - Throws: `Failure` with status 4 for any other rules.
    func requireOpenDoor(_ rules: PerFamily<RuleSet>, in context: CommandContext) async throws(Failure) {
        let machine = machine()
        let expectations = expectationsOfCaller(on: machine)
        guard !expectations.isEmpty else { return }
        let result: RehearsalResult
        do {
            result = try await rehearse(
                Piece(rules: rules, scope: .tables, isAsWritten: true), expectations, on: machine)
        } catch {
            context.console.say(
                Wrapping.text("No rehearsal: nobody checks whether you would be locked out. \(Self.reason(error))"))
            return
        }
        try Self.pass(result, in: context)
    }

    private static func pass(_ result: RehearsalResult, in context: CommandContext) throws(Failure) {
        for note in result.notes + result.untestedNotes { context.console.say(Wrapping.text(note)) }
        if let lockout = result.lockout { throw Failure(lockout: lockout) }
        guard result.differences.isEmpty else { throw Failure(differences: result) }
        context.console.say("Rehearsed: \(result.praise)")
    }

    private static func onPaper(_ error: any Error) -> String {
        Wrapping.text(
            "No rehearsal: the answers were checked on paper, not with packets. \(reason(error))")
    }

    private static func reason(_ error: any Error) -> String { Failure(rehearsal: error).what }

    /// What the wizard shows of a rehearsal.
    func report(_ plan: Plan, _ rules: PerFamily<RuleSet>) async -> RehearsalReport {
        let result: RehearsalResult
        do { result = try await rehearse(plan, rules) } catch {
            if let you, let yourPort, !plan.accepts(from: you, transport: .tcp, port: yourPort) {
                return .lockout(peer: "\(you)", port: yourPort)
            }
            return .skipped("The answers were checked on paper, not with packets. \(Self.reason(error))")
        }
        if let lockout = result.lockout {
            return .lockout(
                peer: "\(lockout.expectation.source)", port: lockout.expectation.packet.port ?? yourPort ?? 22)
        }
        guard result.differences.isEmpty else {
            return .failed(
                probes: result.tried,
                differences: result.differences.map { verdict in
                    RehearsalReport.Difference(
                        from: "\(verdict.expectation.source)", packet: verdict.expectation.packet.title,
                        expectedOpen: verdict.expectation.isAccepted, rule: verdict.decision?.text,
                        question: verdict.expectation.answer.map(Question.init))
                })
        }
        return .passed(probes: result.tried, milliseconds: result.milliseconds, login: result.login.map { "\($0)" })
    }
}

extension Question {
    /// The question that an answer belongs to.
    init(_ answer: Permission.Answer) {
        self =
            switch answer {
            case .admins: .admins
            case .ssh: .ssh
            case .service: .services
            case .ports: .ports
            case .ping: .ping
            }
    }
}
