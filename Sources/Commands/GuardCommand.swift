import ArgumentParser
import Host
import Logging
import SafeApply

/// `latchkey guard`: the process that owns a change; started by latchkey itself.
struct GuardCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "guard", abstract: "Own a change to its end (used by latchkey itself).", shouldDisplay: false)

    @OptionGroup var change: ChangeArguments

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try context.requireRoot("guard")
        let environment = ChangeRunner(in: context).environment
        await GuardProcess.run(change.id, supervisor: change.kind, in: environment)
        return .done
    }
}

/// `latchkey supervise`: the process that starts a guard, again if need be; started by latchkey itself.
struct SuperviseCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "supervise", abstract: "Start a guard, again and again (used by latchkey itself).",
        shouldDisplay: false)

    @OptionGroup var change: ChangeArguments

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try context.requireRoot("supervise")
        await Supervisor(change.id, kind: change.kind, in: ChangeRunner(in: context).environment).run()
        return .done
    }
}

/// Which change a guard or supervisor is for.
struct ChangeArguments: ParsableArguments {
    @Argument(help: "The change.") var id: String
    @Flag(help: "systemd has started the supervisor.") var systemd = false

    var kind: SupervisorKind { systemd ? .systemd : .process }

    func validate() throws {
        guard SnapshotStore.isValid(id: id) else { throw ValidationError("\"\(id)\" names no change.") }
    }
}
