import ArgumentParser
import Glibc
import Host
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// `latchkey try`: the wizard in a throwaway network.
struct TryCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "try", abstract: "Run the wizard in a throwaway network. Nothing on this machine changes.")

    @OptionGroup var answers: AnswersOptions
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var change: ChangeOptions
    @OptionGroup var screen: ScreenOptions
    @Flag(help: "Open a client shell in a try that is running in another terminal, to test connections from there.")
    var shell = false
    @Option(help: ArgumentHelp("Save the answers to FILE if you keep the rules.", valueName: "file")) var save: String?

    func run(in context: CommandContext) async throws -> ProgramStatus {
        let toolbox = Toolbox(layout: context.layout)
        if shell { return try TryShell(toolbox: toolbox).run(in: context) }
        let binary = try OwnProgram.path()
        let stage: Stage
        do {
            stage = try await Stage.open(agent: [binary, "probe-agent"], tools: try StageTools(toolbox))
        } catch let error as StageError {
            throw Failure(
                .missing, "Can't create a throwaway network here: \(error)", activeRules: Failure.nothingChanged,
                next: StageRemedy.text)
        }
        defer { stage.close() }
        Signals.leaveKeysToChild()
        // The stage has its own /run, which is removed with it, including everything that latchkey writes there.
        let words =
            ["/usr/bin/env", "LATCHKEY_ROOT=/run/trial", binary, "setup"]
            + flags(stage, try? await ChangeRunner(in: context).backend(change.backend))
        let status = ProgramStatus(rawValue: try Foreground.run(stage.enterCommand(words))) ?? .failed
        await TryResult(stage: stage, backend: change.backend, templates: templates, file: save).tell(in: context)
        return status
    }

    private func flags(_ stage: Stage, _ backend: Backend?) -> [String] {
        var flags = ["--trial", stage.addresses.outside.first?.description ?? "192.0.2.1"]
        flags += ["--deadline", "\(change.deadline.seconds)"]
        if screen.isPlain { flags.append("--plain") }
        if let file = answers.file { flags += ["--answers", file == "-" ? file : CommandContext.absolute(file)] }
        if let folder = templates.folder { flags += ["--template-dir", CommandContext.absolute(folder)] }
        // Inside, nothing was ever kept: the choice is made here.
        return flags + ["--backend", backend.map(\.rawValue) ?? change.backend.backend.rawValue]
    }
}

/// `latchkey probe-agent`: the agent inside a throwaway network, started by latchkey itself.
struct ProbeAgentCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe-agent", abstract: "Run the probe agent (for internal use).", shouldDisplay: false)

    func run(in context: CommandContext) async throws -> ProgramStatus {
        ProgramStatus(rawValue: ProbeAgent.run()) ?? .failed
    }
}
