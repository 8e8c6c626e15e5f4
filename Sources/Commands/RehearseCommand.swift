import ArgumentParser
import Glibc
import Host
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// `latchkey rehearse`: the plan tested with real packets in a throwaway network.
struct RehearseCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "rehearse",
        abstract: "Test the plan with real packets in a throwaway network, and print the results.")

    @OptionGroup var answers: AnswersOptions
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var backend: BackendOptions
    @OptionGroup var takeOver: TakeOverOptions
    @OptionGroup var report: ReportOptions

    func run(in context: CommandContext) async throws -> ProgramStatus {
        let file = try answers.read(in: context)
        let planner = try await Planner(templates, in: context)
        let plan = try planner.plan(try planner.answers(file))
        let changeRunner = ChangeRunner(in: context)
        var rehearsalRunner = try await RehearsalRunner(changeRunner, backend, caller: Caller(context.facts))
        let managers = OtherManagers(context.facts)
        if takeOver.isWanted {
            rehearsalRunner.takeOver = try await managers.takeOver(shield: nil, in: changeRunner.environment)
        } else if !managers.isEmpty {
            context.console.say(Wrapping.text("\(managers.sentences) \(OtherManagers.advice)"))
        }
        let rules = try planner.rules(plan, for: rehearsalRunner.backend)
        let result: RehearsalResult
        do { result = try await rehearsalRunner.rehearse(plan, rules) } catch { throw Failure(rehearsal: error) }
        if report.json {
            try context.console.result(RehearseReport(result).json())
        } else {
            let table = VerdictTable(
                verdicts: result.verdicts, isColoured: Self.isColoured(context.environment))
            try context.console.result(table.lines.map { $0 + "\n" }.joined())
        }
        for note in result.allNotes { context.console.say(Wrapping.text(note)) }
        if let refusal = result.refusal { throw refusal }
        context.console.say(result.successText)
        return .done
    }

    static func isColoured(_ environment: [String: String]) -> Bool {
        isatty(STDOUT_FILENO) == 1 && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
    }
}

extension RehearsalRunner {
    /// Tests a plan on a stage that looks like this machine.
    func rehearse(_ plan: Plan, _ composed: ComposedRules) async throws -> RehearsalResult {
        let machine = await machine(for: plan)
        let piece = Piece(
            rules: composed.rules, tables: composed.table?.compactText, sets: composed.sets,
            scope: plan.answers.existing == .keep ? .inputChain : .tables)
        var services: PublishedServices?
        if let live {
            let rules = live.rules.flatMap { $0.rules.present.map(\.value) }
            services = await PublishedServices(rules, live.tables, in: environment)
        }
        // With "replace", the rules that publish ports go.
        let published = await PublishedRehearsal(
            plan, plan.answers.existing == .keep ? services?.ports ?? [] : [], self, on: machine)
        let expectations = expectations(plan, on: machine)
        async let beside = rehearse(piece, published)
        var result = try await rehearse(
            piece, published?.withoutContradicted(expectations) ?? expectations, on: machine)
        if let live {
            result.notes += LeftoverRules(live, environment.facts, backend: backend).notes(plan.answers.existing)
        }
        if let services { result.notes += plan.effects(on: [], services).publishedSentences }
        if let beside = await beside { result.add(beside, notes: published?.notes ?? []) }
        // Not every address can be put on a stage: a link-local one cannot.
        guard let you, result.login == nil, result.lockout == nil else { return result }
        result.lockoutByAnswers = lockoutByAnswers(of: plan)
        result.notes.append(
            "A new SSH login from \(you) was checked against the answers only, not with packets.")
        return result
    }
}

extension RehearsalResult {
    /// The summary of a rehearsal that passed.
    var successText: String {
        let login = login.map { " A new SSH login from \($0) is allowed." } ?? ""
        let forms = pending.isEmpty ? "" : ", as pending and as kept rules"
        let expected = verdicts.count { $0.isTested && $0.isAsPromised }
        let others = expected == tried ? "" : "; other programs decide the rest"
        let count =
            untried == 0
            ? "\(expected) of \(tried) packets as expected\(others)"
            : expected == tried
                ? "\(tried) of \(verdicts.count) packets tested, all as expected; \(untried) could not be tested"
                : "\(expected) of \(tried) packets as expected\(others); \(untried) could not be tested"
        return Wrapping.text("\(count)\(forms), \(milliseconds) ms.\(login)")
    }
}

extension Wrapping {
    /// A wrapped paragraph that ends with a line break.
    static func text(_ paragraph: String) -> String {
        lines(paragraph, rest: "  ").joined(separator: "\n") + "\n"
    }
}
