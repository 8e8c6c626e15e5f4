import ArgumentParser
import SafeApply

/// `latchkey confirm`: keeps the pending change.
struct ConfirmCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "confirm", abstract: "Keep the pending change; over SSH, run it in a new login.")

    @Flag(help: "Keep the change even though this SSH connection is older than it.")
    var sameConnection = false
    @OptionGroup var report: ReportOptions

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try await decide("confirm", in: context, report) { (client) throws(ChangeError) in
            try await client.confirm(sameConnection: sameConnection)
        }
    }
}

/// `latchkey revert`: rolls the pending change back now.
struct RevertCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "revert", abstract: "Roll back the pending change now.")

    @OptionGroup var report: ReportOptions

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try await decide("revert", in: context, report) { (client) throws(ChangeError) in try await client.revert() }
    }
}

/// `latchkey extend`: gives the pending change more time.
struct ExtendCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "extend", abstract: "Give the pending change more time: up to one hour from its start.")

    @Argument(
        help: "Time from now: 45, 45s or 5m (default: the change's first deadline).",
        transform: { text in try DeadlineOption(parsing: text) })
    var duration: DeadlineOption?
    @OptionGroup var report: ReportOptions

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try await decide("extend", in: context, report) { (client) throws(ChangeError) in
            let status = try await client.extend(seconds: duration?.seconds)
            if let duration, let left = status.secondsLeft, left > duration.seconds + 1 {
                context.console.say("The deadline was later than that already, and stays.")
            } else if let duration, let left = status.secondsLeft, left < duration.seconds - 1 {
                context.console.say("A change stays pending for at most one hour.")
            }
            return status
        }
    }
}

/// Sends a request to the guard and prints the outcome.
private func decide(
    _ command: String, in context: CommandContext, _ report: ReportOptions,
    _ request: (ChangeClient) async throws(ChangeError) -> ChangeStatus
) async throws(Failure) -> ProgramStatus {
    try await report.reporting(in: context) { () async throws(Failure) in
        try context.requireRoot(command)
        let status: ChangeStatus
        do throws(ChangeError) { status = try await request(ChangeRunner(in: context).client) } catch {
            throw Failure(error)
        }
        if report.json { try context.console.result(ChangeReport(status).json()) }
        context.console.say(ChangeText.outcome(status))
        // A rollback that was requested and succeeded is a success: 0.
        return status.state == .failed ? ProgramStatus(waitedFor: status) : .done
    }
}
