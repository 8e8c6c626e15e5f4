import ArgumentParser
import SafeApply

/// `latchkey block`: closes the firewall for one address or network at once.
struct BlockCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "block", abstract: "Block an address or network at once, until a time or reboot.",
        discussion: """
            Its packets are dropped ahead of all that the answers allow; connections that are already open go on. No \
            change is made, and nothing is saved: the kernel ends it after --for, or it is gone after a reboot. Admins \
            and the address of your own SSH connection are refused.
            """)

    @Argument(help: "An address or network: 203.0.113.9, 2001:db8::/48.") var source: String
    @OptionGroup var time: EntryDurationOptions
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var report: ReportOptions

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try context.requireRoot("block")
        let source = try TemporaryRunner.source(source)
        let runner = try await TemporaryRunner(templates, in: context)
        try await runner.requireBlockable(source)
        return try await runner.add(TemporaryEntry(source, .block, secondsLeft: time.duration?.seconds), report)
    }
}
