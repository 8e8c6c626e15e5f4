import ArgumentParser
import Host
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// `latchkey drops`: what was dropped, from where, and why.
struct DropsCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "drops",
        abstract: "Show which packets were dropped, where they came from, and which answer would allow them.")

    @Option(
        help: ArgumentHelp(
            "Look back this far: 90s, 30m, 1h, 2d (default: 24h).", valueName: "duration"),
        transform: Self.duration)
    var since: SinceOption?
    @Flag(help: "Print each dropped packet as it is logged, until Ctrl-C.") var follow = false
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var report: ReportOptions

    /// Argument Parser prints the error's description after the invalid value.
    private static func duration(_ text: String) throws -> SinceOption { try SinceOption(parsing: text) }

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try context.requireRoot("drops")
        let environment = ChangeRunner(in: context).environment
        let observation = Observation(environment)
        let kept: KeptRules?
        do { kept = try Persistence(environment).lastKept() } catch { throw Failure(error) }
        let isPending = (try? JournalFile(layout: context.layout).read()).map { !$0.state.isFinal } ?? false
        let explanation: DropExplanation
        let total: UInt64?
        if let observed = observation.current() {
            explanation = try await DropExplanation(
                observing: NamedText(name: "the observed answers", text: observed.answers), templates, in: context)
            total = await observation.dropped()
        } else if let kept {
            explanation = try await DropExplanation(kept, templates, in: context)
            total = await AnswerCounters(of: kept, in: environment)?.dropped
        } else if isPending {
            throw Failure(
                .missing,
                "A change is pending, and no earlier rules of latchkey's are kept: what its rules drop is explained "
                    + "once you keep it.", next: "sudo latchkey confirm")
        } else {
            throw Failure(
                .missing, "No rules of latchkey's are kept on this machine, so none of its rules drops packets.",
                next: "sudo latchkey")
        }
        let log = KernelLog(layout: context.layout, toolbox: environment.toolbox, runner: environment.runner)
        let now = environment.clock.date()
        do {
            if follow {
                try self.follow(log, explanation, from: since.map { now - $0.seconds }, in: context)
                return .done
            }
            try await printReport(log, explanation, total, until: now, in: context)
            return .done
        } catch let error as HostError {
            throw Failure(
                .missing, "The kernel log cannot be read: \(error)",
                next: "run this on the machine itself, not in a container; the kernel log needs CAP_SYSLOG.")
        }
    }

    private func printReport(
        _ log: KernelLog, _ explanation: DropExplanation, _ total: UInt64?, until now: Int64,
        in context: CommandContext
    ) async throws {
        let period = since ?? .standard
        let begin = now - period.seconds
        let reading: KernelLog.Reading
        var notes: [String] = explanation.notes
        do throws(HostError) { reading = try await log.read(since: begin, containing: explanation.prefix) } catch {
            // Without logging, the totals are still worth showing.
            guard !explanation.isLogging else { throw error }
            reading = KernelLog.Reading(entries: [], source: .kmsg)
        }
        let packets = DroppedPackets(reading.entries, prefix: explanation.prefix, explain: explanation.reason)
        if packets.packets.isEmpty, explanation.isLogging, !Self.isFirstNetwork { notes.append(Self.otherNetwork) }
        if let oldest = reading.oldest, oldest > begin * 1_000_000 {
            notes.append("The kernel log goes back only to \(DropsText.minute(oldest / 1_000_000)) UTC.")
        }
        if reading.isCut { notes.append("The log is very long: only its newest part was read.") }
        if report.json {
            let result = DropsReport(
                since: begin, until: now, isLogging: explanation.isLogging, total: total, notes: notes, packets)
            try context.console.result(try result.json())
            return
        }
        let text = DropsText(
            period: period.text, since: begin, until: now, logging: explanation.logging, total: total,
            isObserving: explanation.prefix == LoggedPacket.observedPrefix, notes: notes)
        try context.console.result(text.lines(packets).map { "\($0)\n" }.joined())
    }

    private func follow(
        _ log: KernelLog, _ explanation: DropExplanation, from since: Int64?, in context: CommandContext
    ) throws {
        if !explanation.isLogging {
            context.console.say(Wrapping.text(explanation.logging))
        } else if !Self.isFirstNetwork {
            context.console.say(Wrapping.text(Self.otherNetwork))
        }
        try log.follow(since: since) { entry in
            for dropped in DroppedPackets([entry], prefix: explanation.prefix, explain: explanation.reason).packets {
                try context.console.result(
                    report.json ? DropLine(dropped).json() : DropsText.line(dropped) + "\n")
            }
        }
    }

    /// Whether this is the machine's first network namespace, where the kernel always logs: the setting for the others
    /// exists only there (net/netfilter/nf_log.c).
    private static var isFirstNetwork: Bool { SecureFiles.exists("/proc/sys/net/netfilter/nf_log_all_netns") }

    private static let otherNetwork =
        "This is not the machine's first network namespace: the kernel logs its packets only if the machine sets "
        + "net.netfilter.nf_log_all_netns=1."
}
