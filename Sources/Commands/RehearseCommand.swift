import ArgumentParser
import Glibc
import Host
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// `latchkey rehearse`: the plan tried with real packets in a throwaway network.
struct RehearseCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "rehearse",
        abstract: "Try the plan with real packets in a throwaway network, and print what got through.")

    @OptionGroup var answers: AnswersOptions
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var backend: BackendOptions
    @OptionGroup var report: ReportOptions

    func run(in context: CommandContext) async throws -> ProgramStatus {
        let file = try answers.read(in: context)
        let planner = try await Planner(templates, in: context)
        let plan = try planner.plan(try planner.answers(file))
        let rules = try planner.rules(plan)
        let rehearsalRunner = try await RehearsalRunner(
            ChangeRunner(in: context), backend, caller: Caller(context.facts))
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
        context.console.say(result.praise)
        return .done
    }

    static func isColoured(_ environment: [String: String]) -> Bool {
        isatty(STDOUT_FILENO) == 1 && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
    }
}

extension RehearsalRunner {
    /// Tries a plan on a stage that looks like this machine.
    func rehearse(_ plan: Plan, _ composed: ComposedRules) async throws -> RehearsalResult {
        let machine = await machine(for: plan)
        var result = try await rehearse(
            Piece(
                rules: composed.rules, sets: composed.sets,
                scope: plan.answers.existing == .keep ? .inputChain : .tables),
            expectations(plan, on: machine), on: machine)
        // An address of one link, say, is on no stage.
        guard let you, result.login == nil, result.lockout == nil else { return result }
        result.shutOut = shutOut(by: plan)
        result.notes.append("Whether \(you) gets in anew was checked on paper, not with packets.")
        return result
    }
}

extension RehearsalResult {
    /// That everything is as promised, with the numbers.
    var praise: String {
        let login = login.map { " From \($0) a new SSH login gets in." } ?? ""
        let forms = pending.isEmpty ? "" : ", pending and kept"
        let count =
            untried == 0
            ? "\(tried) of \(tried) as promised"
            : "\(tried) of \(verdicts.count) tried, all as promised, and \(untried) could not be tried"
        return Wrapping.text("\(count)\(forms), \(milliseconds) ms.\(login)")
    }
}

extension Wrapping {
    /// A paragraph with its end.
    static func text(_ paragraph: String) -> String {
        lines(paragraph, rest: "  ").joined(separator: "\n") + "\n"
    }
}
