import Host

/// Runs programs in a place of a stage, as if that were the machine.
package struct StageRunner: CommandRunner {
    private let stage: Stage
    private let place: Stage.Place
    private let runner: any CommandRunner

    /// A runner for one place.
    package init(_ stage: Stage, in place: Stage.Place = .server, runner: any CommandRunner = SystemRunner()) {
        self.stage = stage
        self.place = place
        self.runner = runner
    }

    package func run(_ command: Command) async throws(HostError) -> CommandResult {
        try await runner.run(stage.enter(command, in: place))
    }
}
