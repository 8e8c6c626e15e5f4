import ArgumentParser
import Host

/// A command that runs against a context.
package protocol ContextCommand: ParsableCommand {
    /// Runs the command.
    ///
    /// - Returns: the program's exit status.
    /// - Throws: `Failure`, or an error of Argument Parser for a bad command line.
    func run(in context: CommandContext) async throws -> ProgramStatus
}

/// The program from its arguments to its exit status.
package enum Program {
    /// Reads a command line, runs it and prints any error.
    package static func run(_ arguments: [String], in context: CommandContext) async -> Int32 {
        do {
            if let role = GuardRole(arguments) { return try await role.run(in: context).rawValue }
            if let command = namedCommand(arguments) { return try await command.run(in: context).rawValue }
            try Latchkey.requireCommands(arguments)
            var command = try Latchkey.parseAsRoot(arguments)
            if let command = command as? any ContextCommand {
                return try await command.run(in: context).rawValue
            }
            // Argument Parser's own command `help`.
            try command.run()
            return ProgramStatus.done.rawValue
        } catch let failure as Failure {
            context.console.say(failure.rendered)
            return failure.status.rawValue
        } catch let error as HostError {
            context.console.say(Failure(error).rendered)
            return Failure(error).status.rawValue
        } catch {
            return finish(error, in: context)
        }
    }

    /// The command that the first word names, if the remaining words are valid for it.
    ///
    /// Argument Parser reads the whole tree of commands first, which takes longer than starting the program. Its words
    /// help and error messages need that tree.
    private static func namedCommand(_ arguments: [String]) -> (any ContextCommand)? {
        let type = Latchkey.configuration.subcommands.first { $0.configuration.commandName == arguments.first }
        guard let type, type.configuration.subcommands.isEmpty else { return nil }
        return try? type.parse(Array(arguments.dropFirst())) as? any ContextCommand
    }

    /// Prints help and version to standard output, and a bad command line to standard error.
    private static func finish(_ error: any Error, in context: CommandContext) -> Int32 {
        let message = Latchkey.fullMessage(for: error)
        guard Latchkey.exitCode(for: error).isSuccess else {
            context.console.say(message + "\n")
            return Latchkey.exitCode(for: error) == .validationFailure
                ? ProgramStatus.usage.rawValue : ProgramStatus.failed.rawValue
        }
        do {
            try context.console.result(message + "\n")
            return ProgramStatus.done.rawValue
        } catch {
            context.console.say(error.rendered)
            return error.status.rawValue
        }
    }
}
