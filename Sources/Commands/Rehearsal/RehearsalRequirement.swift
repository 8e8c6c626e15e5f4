import Interview
import Netfilter
import Policy
import Rehearsal
import SafeApply

// What a rehearsal means to the commands that change the rules.
extension RehearsalRunner {
    /// Lets a plan pass that does what it promises and lets the present SSH connection in anew.
    ///
    /// Where no stage can be made, the answers alone are looked at, and that is said.
    ///
    /// - Throws: `Failure` with status 4 for any other plan.
    func requirePromises(
        of plan: Plan, _ rules: ComposedRules, in context: CommandContext
    ) async throws(Failure) {
        let result: RehearsalResult
        do { result = try await rehearse(plan, rules) } catch {
            context.console.say(Self.onPaper(error))
            if let shutOut = shutOut(by: plan) { throw Failure(shutOut: shutOut) }
            return
        }
        try Self.pass(result, in: context)
    }

    /// Lets rules pass that a person wrote, if the present SSH connection gets in anew; nothing else is known of them.
    ///
    /// - Throws: `Failure` with status 4 for any other rules.
    func requireOpenDoor(_ rules: PerFamily<RuleSet>, in context: CommandContext) async throws(Failure) {
        let machine = await machine(reaching: [])
        let expectations = expectationsOfCaller(on: machine)
        guard !expectations.isEmpty else {
            if let you { context.console.say(Wrapping.text(Self.unchecked + " No stage can be given \(you).")) }
            return
        }
        let result: RehearsalResult
        do {
            result = try await rehearse(Piece(rules: rules, sets: "", scope: .tables), expectations, on: machine)
        } catch {
            context.console.say(Wrapping.text("\(Self.unchecked) \(Self.reason(error))"))
            return
        }
        do { try Self.pass(result, in: context) } catch {
            var failure = error
            failure.next =
                "add a rule that accepts \(you.map { "\($0)" } ?? "your address") on the SSH port, or override with "
                + "--no-rehearsal."
            throw failure
        }
    }

    private static func pass(_ result: RehearsalResult, in context: CommandContext) throws(Failure) {
        for note in result.allNotes { context.console.say(Wrapping.text(note)) }
        if let refusal = result.refusal { throw refusal }
        context.console.say("Rehearsed: \(result.praise)")
    }

    private static let unchecked = "No rehearsal: nobody checks whether you would be locked out."

    /// The present SSH connection, where a plan would keep it out, by the answers alone: for when no packet can tell.
    func shutOut(by plan: Plan) -> Lockout? {
        guard let you, let yourPort, !plan.accepts(from: you, transport: .tcp, port: yourPort) else { return nil }
        return Lockout(peer: you, port: yourPort)
    }

    private static func onPaper(_ error: any Error) -> String {
        Wrapping.text(
            "No rehearsal: the answers were checked on paper, not with packets. \(reason(error))")
    }

    private static func reason(_ error: any Error) -> String { Failure(rehearsal: error).what }

    /// What the wizard shows of a rehearsal.
    func report(_ plan: Plan, _ rules: ComposedRules) async -> RehearsalReport {
        let result: RehearsalResult
        do { result = try await rehearse(plan, rules) } catch {
            if let shutOut = shutOut(by: plan) { return .lockout(peer: "\(shutOut.peer)", port: shutOut.port) }
            return .skipped("The answers were checked on paper, not with packets. \(Self.reason(error))")
        }
        if let lockout = result.lockout {
            return .lockout(
                peer: "\(lockout.expectation.source)", port: lockout.expectation.packet.port ?? yourPort ?? 22)
        }
        if let shutOut = result.shutOut { return .lockout(peer: "\(shutOut.peer)", port: shutOut.port) }
        guard result.differences.isEmpty else {
            return .failed(
                probes: result.verdicts.count,
                differences: result.differences.map { verdict in
                    RehearsalReport.Difference(
                        from: "\(verdict.expectation.source)", packet: verdict.expectation.packet.title,
                        expectedOpen: verdict.expectation.isAccepted, untried: verdict.untried,
                        rule: verdict.decision?.text, question: verdict.expectation.answer.map(Question.init))
                })
        }
        return .passed(
            probes: result.tried, untried: result.untried, milliseconds: result.milliseconds,
            login: result.login.map { "\($0)" })
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
