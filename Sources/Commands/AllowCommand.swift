import ArgumentParser
import SafeApply

/// `latchkey allow`: opens the firewall for one address or network at once.
struct AllowCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "allow", abstract: "Allow an address or network at once, until a time or reboot.",
        discussion: """
            No change is made, and nothing is saved: the kernel ends it after --for, or it is gone after a reboot. It is \
            listed by "latchkey status". To allow an address for good, put it in the answers and apply them.
            """)

    @Argument(help: "An address or network: 203.0.113.9, 2001:db8::/48.") var source: String
    @Argument(help: "A service, or ports such as 8080/tcp or 60000-61000/udp (default: everything).") var what: String?
    @OptionGroup var time: EntryDurationOptions
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var report: ReportOptions

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try context.requireRoot("allow")
        let source = try TemporaryRunner.source(source)
        let runner = try await TemporaryRunner(templates, in: context)
        let entry = TemporaryEntry(
            source, .allow, opening: try await runner.opening(what), secondsLeft: time.duration?.seconds)
        return try await runner.add(entry, report)
    }
}
