import Host
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// The end of `latchkey try`: what got through, and the answers to take along.
struct TryResult {
    let stage: Stage
    let backend: BackendOptions
    let templates: TemplateOptions
    /// Where to put the answers that were kept; nil for nowhere.
    let file: String?

    /// Where the stage's own latchkey keeps the answers of a change that was kept.
    private static let answers = "/run/trial/etc/latchkey/answers.yaml"

    /// Prints the table of what gets through the rules that were kept, and saves the answers if wanted.
    func tell(in context: CommandContext) async {
        let reading = Command("/bin/cat", [Self.answers])
        guard let kept = try? await StageRunner(stage).run(reading), kept.status == 0 else { return }
        do {
            try await show(kept.text, in: context)
        } catch {
            context.console.say(Wrapping.text("What got through could not be tried. \(Failure(rehearsal: error).what)"))
        }
        save(kept.text, in: context)
    }

    private func show(_ text: String, in context: CommandContext) async throws {
        let planner = try await Planner(templates, in: context)
        let plan = try planner.plan(try planner.answers(NamedText(name: "the answers", text: text)))
        let expectations = plan.expectations(in: ExpectationContext(servers: stage.addresses.server))
        let sources = Set(expectations.flatMap { [$0.source, $0.target] })
            .subtracting(stage.addresses.server.map(\.address))
        try await stage.addOutside(sources.filter { $0.description != "127.0.0.1" && $0.description != "::1" }.sorted())

        let changeRunner = ChangeRunner(in: context)
        let kernel = try await LiveRules(
            backend: try await changeRunner.backend(backend), families: changeRunner.environment.families,
            toolbox: changeRunner.environment.toolbox, runner: StageRunner(stage))
        let rehearsal = Rehearsal(on: stage, tools: RehearsalRunner.tools(kernel))
        try await rehearsal.listen(for: expectations)
        // Under the rules as they stand: the guard has put them there, and what is closed is counted where it is
        // dropped.
        let verdicts = try await rehearsal.verdicts(expectations, untested: [:])
        let table = VerdictTable(verdicts: verdicts, isColoured: RehearseCommand.isColoured(context.environment))
        try context.console.result("What gets through now:\n" + table.lines.map { $0 + "\n" }.joined())
        let differences = verdicts.count { !$0.isAsPromised }
        context.console.say(
            differences == 0
                ? "\(verdicts.count) of \(verdicts.count) as promised.\n" : "\(differences) not as promised.\n")
    }

    private func save(_ text: String, in context: CommandContext) {
        guard let file else { return }
        do {
            try SecureFiles.write(Array(text.utf8), to: file)
            if let made = stage.addresses.outside.first(where: { text.contains("\($0)") }) {
                context.console.say(
                    Wrapping.text(
                        "\(made) is an address that the try has made up: put your own among the admins in its place."))
            }
            context.console.say("Saved. Put them in force with: sudo latchkey --answers \(file)\n")
        } catch {
            context.console.say(Wrapping.text("Not saved: \(error)"))
        }
    }
}
