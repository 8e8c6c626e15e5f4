import ArgumentParser
import SafeApply

/// `latchkey forget`: removes what `allow` and `block` made for one address or network.
struct ForgetCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget", abstract: "Undo \"allow\" or \"block\" for an address or network at once.")

    @Argument(help: "The address or network, exactly as \"latchkey status\" lists it.") var source: String
    @OptionGroup var report: ReportOptions

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try context.requireRoot("forget")
        return try await TemporaryRunner.forget(try TemporaryRunner.source(source), report, in: context)
    }
}
