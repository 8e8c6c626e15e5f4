import ArgumentParser
import Netfilter

/// The root of the command line.
package struct Latchkey: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "latchkey",
        abstract: "Set up this server's firewall; new rules roll back unless you confirm them.",
        discussion: """
            Without a command, latchkey runs the interactive wizard (setup). Nothing changes until you have reviewed \
            the result and agreed. Manual: man latchkey.
            """,
        version: Version.text,
        subcommands: [
            SetupCommand.self, TryCommand.self, PlanCommand.self, RehearseCommand.self, TraceCommand.self,
            ApplyCommand.self, ConfirmCommand.self, RevertCommand.self, ExtendCommand.self, AllowCommand.self,
            BlockCommand.self, ForgetCommand.self, OffCommand.self, StatusCommand.self, DropsCommand.self,
            SnapshotsCommand.self, ServicesCommand.self, ImportCommand.self, DoctorCommand.self,
            ProbeAgentCommand.self,
        ],
        defaultSubcommand: SetupCommand.self)

    package init() {}
}

extension ParsableCommand {
    /// Refuses `help` for a command that does not exist; Argument Parser would show the help of its parent.
    ///
    /// - Throws: `Failure` with status 64.
    static func requireCommands(_ arguments: [String]) throws(Failure) {
        guard arguments.first == "help" else { return }
        var command: any ParsableCommand.Type = Self.self
        for word in arguments.dropFirst() where !word.hasPrefix("-") {
            let found = command.configuration.subcommands.first { $0.name == word }
            guard let found else {
                throw Failure(
                    .usage, "There is no command \(word.quoted()).", next: "latchkey --help lists all commands.")
            }
            command = found
        }
    }

    /// The command's name on the command line.
    private static var name: String { configuration.commandName ?? "\(self)".lowercased() }
}

/// The version of this latchkey.
package enum Version {
    /// The number that `--version` prints.
    package static let number = "0.1.0"
    /// The whole line that `--version` prints.
    package static let text = "latchkey \(number)"
}
