import ArgumentParser
import Host
import Netfilter
import SafeApply

/// `latchkey off`: removes latchkey's firewall, as a change like any other.
struct OffCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "off", abstract: "Remove latchkey's firewall, and roll back unless you confirm.",
        discussion: """
            All rules of latchkey's are removed, and nothing of them is loaded at boot. Rules of other programs, the \
            answers and the snapshots stay.
            """)

    @OptionGroup var deadline: DeadlineOptions
    @OptionGroup var rehearsal: RehearsalOptions
    @Flag(help: "Return once the rules are off and the change is pending; don't wait for the outcome.")
    var detach = false
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var report: ReportOptions

    func run(in context: CommandContext) async throws -> ProgramStatus {
        try await report.reporting(in: context) { () async throws(Failure) in
            try context.requireRoot("off")
            let changeRunner = ChangeRunner(in: context)
            try await changeRunner.requireNothingPending()
            let removal: Removal?
            do throws(ChangeError) { removal = try await Removal(in: changeRunner.environment) } catch {
                throw Failure(error)
            }
            do throws(ChangeError) { try await Observation(changeRunner.environment).end() } catch {
                throw Failure(error)
            }
            guard let removal else { return try await reportNothing(changeRunner, in: context) }
            let effects = await OffEffects(of: removal, in: changeRunner.environment)
            for sentence in effects.sentences { context.console.say(Wrapping.text(sentence)) }
            if let note = await TemporaryRunner.noteOfRemoval(removal.backend, in: changeRunner.environment) {
                context.console.say(Wrapping.text(note))
            }
            if let offer = changeRunner.offer(since: nil) { context.console.say(Wrapping.text(offer)) }
            let request = try await request(removal, changeRunner, in: context)
            return try await changeRunner.carryOut(request, detach: detach, report, in: context)
        }
    }

    private static let nothing = "Nothing to remove: no rules of latchkey's are active or loaded at boot."

    private func reportNothing(
        _ changeRunner: ChangeRunner, in context: CommandContext
    ) async throws(Failure) -> ProgramStatus {
        // Entries outlive rules that were pending and never kept.
        let backend = try await TemporaryRunner.used(changeRunner)
        if await !TemporaryRunner.list(backend, in: changeRunner.environment).isEmpty {
            do { try await TemporaryEntries(backend, in: changeRunner.environment).removeAll() } catch {
                throw Failure(error)
            }
            context.console.say("Temporary entries were removed.\n")
        }
        if report.json {
            let shown = ChangeReport(
                outcome: .kept, change: nil, snapshot: nil, reason: Self.nothing, verified: true)
            try context.console.result(shown.json())
        }
        context.console.say(Wrapping.text(Self.nothing))
        return .done
    }

    private func request(
        _ removal: Removal, _ changeRunner: ChangeRunner, in context: CommandContext
    ) async throws(Failure) -> ChangeRequest {
        let caller = Caller(context.facts)
        if rehearsal.isSkipped {
            context.console.say(RehearsalOptions.skipped)
        } else if removal.isActive {
            let rehearsalRunner = await RehearsalRunner(changeRunner, removal.backend, caller: caller)
            try await rehearsalRunner.requireSSHAccess(
                removal.rules, tables: removal.tables, scope: .removal,
                next: "change the rules of the other program, or override with --no-rehearsal.", in: context)
        }
        let environment = changeRunner.environment
        let ports = await SSHServer(context.facts).ports(
            sshd: environment.toolbox.find("sshd"), runner: environment.runner
        ).ports
        return ChangeRequest(
            id: changeRunner.freshID(), scope: .removal,
            rules: PerFamily(ipv4: removal.rules.ipv4?.text, ipv6: removal.rules.ipv6?.text), tables: removal.tables,
            backend: removal.backend, deadlineSeconds: deadline.deadline.seconds, requester: caller.requester,
            sshPorts: ports.isEmpty ? [22] : ports,
            admins: await SnapshotActions(in: context).admins(templates, in: context), answers: nil, persists: true)
    }
}
