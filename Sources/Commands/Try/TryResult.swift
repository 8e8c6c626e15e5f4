import Host
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// The end of `latchkey try`: shows what the kept rules allow, and saves the answers.
struct TryResult {
    let stage: Stage
    let backend: BackendOptions
    let templates: TemplateOptions
    /// The file to save the kept answers to; nil for none.
    let file: String?

    /// The file with the answers of the last kept change, inside the stage.
    private static let answers = "/run/trial/etc/latchkey/answers.yaml"

    /// Prints a table of what the kept rules allow, and saves the answers if requested.
    func tell(in context: CommandContext) async {
        let reading = Command("/bin/cat", [Self.answers])
        guard let kept = try? await StageRunner(stage).run(reading), kept.status == 0 else { return }
        do {
            try await show(kept.text, in: context)
        } catch {
            context.console.say(Wrapping.text("The rules could not be tested. \(Failure(rehearsal: error).what)"))
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
        let kernel = try await StageKernel(
            stage, try await changeRunner.backend(backend), changeRunner.environment)
        let rehearsal = kernel.rehearsal
        try await rehearsal.listen(for: expectations)
        // Uses the rules that the guard has activated. Blocked packets are counted by the rule that drops them.
        let verdicts = try await rehearsal.verdicts(expectations, untested: [:])
        let table = VerdictTable(verdicts: verdicts, isColoured: RehearseCommand.isColoured(context.environment))
        try context.console.result("What the new rules allow:\n" + table.lines.map { $0 + "\n" }.joined())
        let differences = verdicts.count { !$0.isAsPromised }
        context.console.say(
            differences == 0
                ? "\(verdicts.count) of \(verdicts.count) packets as expected.\n"
                : "\(differences) of \(verdicts.count) packets not as expected.\n")
    }

    private func save(_ text: String, in context: CommandContext) {
        guard let file else { return }
        do {
            try SecureFiles.write(Array(text.utf8), to: file)
            if let example = stage.addresses.outside.first(where: { text.contains("\($0)") }) {
                context.console.say(
                    Wrapping.text(
                        "\(example) is an example address. Replace it with your own address in the saved file."))
            }
            context.console.say("Saved. To apply the answers, run: sudo latchkey --answers \(file)\n")
        } catch {
            context.console.say(Wrapping.text("Not saved: \(error)"))
        }
    }
}
