import ArgumentParser

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
            ApplyCommand.self, ConfirmCommand.self, RevertCommand.self, StatusCommand.self, SnapshotsCommand.self,
            ServicesCommand.self, DoctorCommand.self, GuardCommand.self, SuperviseCommand.self,
            ProbeAgentCommand.self,
        ],
        defaultSubcommand: SetupCommand.self)

    package init() {}
}

/// Which latchkey this is.
package enum Version {
    /// The number that `--version` prints.
    package static let number = "0.1.0"
    /// The whole line.
    package static let text = "latchkey \(number)"
}
