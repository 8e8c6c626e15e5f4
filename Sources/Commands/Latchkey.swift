import ArgumentParser
import Netfilter

/// The root of the command line.
package struct Latchkey: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "latchkey",
        abstract: "Sets up this server's firewall, and returns to the old rules unless you keep the new ones.",
        discussion: """
            Without a command, latchkey asks its questions (setup). Nothing changes until you have seen the result \
            and said so. The manual: man latchkey.
            """,
        version: Version.text,
        subcommands: [
            SetupCommand.self, TryCommand.self, PlanCommand.self, RehearseCommand.self, TraceCommand.self,
            ApplyCommand.self, ConfirmCommand.self, RevertCommand.self, ExtendCommand.self, StatusCommand.self,
            SnapshotsCommand.self, ServicesCommand.self, DoctorCommand.self, GuardCommand.self, SuperviseCommand.self,
            ProbeAgentCommand.self,
        ],
        defaultSubcommand: SetupCommand.self)

    package init() {}
}

extension ParsableCommand {
    /// Refuses `help` for a command that is not there: Argument Parser shows the help of the one above it.
    ///
    /// - Throws: `Failure` with status 64.
    static func requireCommands(_ arguments: [String]) throws(Failure) {
        guard arguments.first == "help" else { return }
        var command: any ParsableCommand.Type = Self.self
        for word in arguments.dropFirst() where !word.hasPrefix("-") {
            let found = command.configuration.subcommands.first { $0.name == word }
            guard let found else {
                throw Failure(
                    .usage, "There is no command \(word.quoted()).", next: "latchkey --help names those there are.")
            }
            command = found
        }
    }

    /// What the command is called on the command line.
    private static var name: String { configuration.commandName ?? "\(self)".lowercased() }
}

/// Which latchkey this is.
package enum Version {
    /// The number that `--version` prints.
    package static let number = "0.1.0"
    /// The whole line.
    package static let text = "latchkey \(number)"
}
