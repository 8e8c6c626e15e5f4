import ArgumentParser
import Host
import Logging
import SafeApply

/// `latchkey guard`: the process that owns a change; started by latchkey itself.
struct GuardCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "guard", abstract: "Run the guard of a change (used by latchkey itself).", shouldDisplay: false)

    @OptionGroup var change: ChangeArguments

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try context.requireRoot("guard")
        let environment = ChangeRunner(in: context).environment
        await GuardProcess.run(change.id, supervisor: change.kind, in: environment)
        return .done
    }
}

/// `latchkey supervise`: the process that starts a guard, and restarts it if it dies; started by latchkey itself.
struct SuperviseCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "supervise", abstract: "Start a guard, and restart it if it dies (used by latchkey itself).",
        shouldDisplay: false)

    @OptionGroup var change: ChangeArguments

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try context.requireRoot("supervise")
        await Supervisor(change.id, kind: change.kind, in: ChangeRunner(in: context).environment).run()
        return .done
    }
}

/// The change that a guard or supervisor is for.
struct ChangeArguments: ParsableArguments {
    @Argument(help: "The ID of the change.") var id: String
    @Flag(help: "systemd started the supervisor.") var systemd = false

    var kind: SupervisorKind { systemd ? .systemd : .process }

    func validate() throws {
        guard SnapshotStore.isValid(id: id) else { throw ValidationError("\"\(id)\" is not the ID of a change.") }
    }
}
