import ArgumentParser
import Glibc
import Host
import Interview
import Netfilter
import Policy
import ReadlineUI
import SafeApply

/// `latchkey setup`: the guided wizard.
struct SetupCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup", abstract: "Run the interactive setup wizard.")

    @OptionGroup var answers: AnswersOptions
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var change: ChangeOptions
    @OptionGroup var screen: ScreenOptions
    /// Set by `latchkey try`: this process runs inside the throwaway network, and this is the client's address.
    @Option(name: .customLong("trial"), help: .hidden) var trial: String?

    func run(in context: CommandContext) async throws -> ProgramStatus {
        if trial != nil { Signals.reset() }
        guard answers.file != "-" else {
            throw Failure(.usage, "--answers - is not supported here: the wizard reads your input from standard input.")
        }
        guard let prompter = Terminal.prompter(environment: context.environment, isPlain: screen.isPlain) else {
            throw Failure(.usage, Terminal.needed.joined(separator: " "))
        }
        let changeRunner = ChangeRunner(in: context)
        do {
            if context.userID == 0, let status = try await changeRunner.client.current(), !status.state.isFinal {
                let (result, _) = await watch(
                    status, entry(changeRunner), prompter, changeRunner, Caller(context.facts))
                return result
            }
            return try await ask(prompter, changeRunner, in: context)
        } catch let error as ChangeError { throw Failure(error) }
    }

    private func ask(
        _ prompter: any Prompter, _ changeRunner: ChangeRunner, in context: CommandContext
    ) async throws -> ProgramStatus {
        let caller = Caller(context.facts)
        let planner = try await Planner(templates, in: context)
        let machineDiscovery = await MachineDiscovery(changeRunner, backend: change.backend.named)
        var discovery = machineDiscovery.discovery(caller: caller, sshPorts: planner.sshPorts)
        if let trial {
            discovery.peer = try? IPAddress(parsing: trial)
            discovery.managers = []
        }
        // With input from a pipe, the wizard always asks the same questions.
        let drafts = Terminal.isInteractive ? SetupDraft(in: context, clock: changeRunner.environment.clock) : nil
        let wizard = Wizard(
            discovery: discovery, catalog: planner.catalog, proposals: try proposals(planner, in: context),
            draft: answers.file == nil ? drafts?.read(planner) : nil,
            takesOver: change.takeOver.isWanted, deadline: change.deadline.seconds, mode: trial == nil ? .setup : .trial
        )
        var rehearsalRunner = try? await RehearsalRunner(changeRunner, change.backend, caller: caller)
        if trial != nil {
            rehearsalRunner?.you = discovery.peer
            rehearsalRunner?.yourPort = discovery.peerPort ?? discovery.sshPorts.first
        }
        let actions = SetupActions(
            planner: planner, facts: context.facts, caller: caller, live: machineDiscovery.live,
            backend: machineDiscovery.backend, liveTable: machineDiscovery.table,
            retirement: rehearsalRunner?.retirement,
            takeOver: trial == nil && context.userID == 0
                ? try await OtherManagers(context.facts).takeOver(shield: nil, in: changeRunner.environment) : nil,
            importing: { () async throws(Failure) in
                let program = OtherManagers(context.facts).importable.first
                return try await program.asyncMap { program throws(Failure) in
                    try await ImportedAnswers(from: program, planner, change.backend, changeRunner, in: context)
                }
            },
            rehearsalRunner: rehearsalRunner,
            skipsRehearsal: change.rehearsal.isSkipped,
            isRoot: context.userID == 0)
        let (ending, finished) = await Conversation(prompter: prompter, actions: actions) { drafts?.write($0) }
            .run(wizard)
        guard ending == .apply else {
            if drafts != nil, trial == nil, finished.draft != nil {
                await prompter.write(
                    finished.screen.paragraph("Your answers are saved. Run latchkey again to resume.", indent: 0))
            }
            return .quit
        }

        try context.requireRoot("setup")
        let plan = try planner.plan(finished.answers)
        var options = change
        options.time.deadline = DeadlineOption(seconds: finished.deadline) ?? options.deadline
        let backend = try await changeRunner.backend(change.backend)
        let rules = try planner.rules(plan, for: backend)
        var request = try await changeRunner.request(
            plan, rules: rules, caller: caller, options: options, layout: context.layout)
        if trial == nil {
            request.takeOver = try await changeRunner.takeOver(finished.takesOver, facts: context.facts) {
                () throws(Failure) in backend == .nftables ? nil : try planner.table(plan).map(TakeOver.shield)
            }
        }
        let status = try await changeRunner.client.begin(request, progress: Progress.dots(on: context.console))
        Progress.end(on: context.console)
        let (result, outcome) = await watch(status, .begun, prompter, changeRunner, caller)
        switch outcome {
        case .kept, .keptOnTrial: drafts?.remove()
        case .reverted where drafts != nil && trial == nil:
            await prompter.write(
                finished.screen.paragraph("Your answers are saved. Run latchkey again to resume.", indent: 0))
        case .reverted, .failed, nil: break
        }
        return result
    }

    /// How the user comes back to a pending change: over a connection that is newer than the rules, or not.
    private func entry(_ changeRunner: ChangeRunner) -> PendingChangeScreen.Entry {
        let journal = try? JournalFile(layout: changeRunner.environment.layout).read()
        guard let since = journal?.freshSince,
            case .fresh(let address) = changeRunner.environment.witness.proof(OwnProcess.pid, since)
        else { return .resumed(newLoginFrom: nil) }
        return .resumed(newLoginFrom: try? IPAddress(parsing: address))
    }

    /// The answers of the last kept change, or from a file, as defaults.
    private func proposals(_ planner: Planner, in context: CommandContext) throws(Failure) -> Answers? {
        guard answers.file != nil || SecureFiles.exists(context.layout.answers) else { return nil }
        do { return try planner.answers(try answers.read(in: context)) } catch {
            // Only root may read the kept answers. Other users start without them.
            if answers.file == nil, error.status == .needsRoot { return nil }
            throw error
        }
    }

    private func watch(
        _ status: ChangeStatus, _ entry: PendingChangeScreen.Entry, _ prompter: any Prompter,
        _ changeRunner: ChangeRunner, _ caller: Caller
    ) async -> (status: ProgramStatus, outcome: PendingChangeScreen.Ending?) {
        let current = PendingChangeStatus(status)
        let screen = PendingChangeScreen(secondsLeft: current.secondsLeft, entry: entry, loginTest: loginTest(caller))
        let ending: PendingChangeLoop.Ending
        if let outcome = current.outcome {
            await prompter.write(screen.ended(outcome))
            ending = .outcome(outcome)
        } else {
            let connection = WizardGuardConnection(
                client: changeRunner.client, family: caller.peer?.family, isTrial: trial != nil)
            ending = await PendingChangeLoop(prompter: prompter, connection: connection).run(screen)
        }
        switch ending {
        case .left: return (.done, nil)
        case .outcome(let outcome):
            switch outcome {
            case .kept, .keptOnTrial: return (.done, outcome)
            case .reverted: return (.reverted, outcome)
            case .failed:
                let last = try? await changeRunner.client.current()
                return (last.map { ProgramStatus(waitedFor: $0) } ?? .failed, outcome)
            }
        }
    }

    /// How to test a new login, with this machine's own address and port.
    private func loginTest(_ caller: Caller) -> PendingChangeScreen.LoginTest {
        if trial != nil {
            return .notRequired(
                reason: "You can't log in to this throwaway network. Type \"keep\", or wait for the rollback.")
        }
        switch caller.origin {
        case .local(let place):
            return .notPossible(
                reason: "You are on this machine itself (\(place)), so no new login is required. Test the "
                    + "connections that you need from another machine.")
        case .remoteUnproven:
            // The port may be unknown. If there are several addresses, the first global one is used.
            guard let own = ownAddresses().first(where: { $0.scope == .global && $0.isUp }) else {
                return .login(command: nil)
            }
            let port = caller.peerPort.map { $0 == 22 ? "" : "-p \($0) " } ?? ""
            return .login(command: "ssh \(port)\(caller.requester.user)@\(own.address)")
        case .ssh(let monitor):
            let port = monitor.local.port == 22 ? "" : "-p \(monitor.local.port) "
            return .login(command: "ssh \(port)\(caller.requester.user)@\(monitor.local.address)")
        }
    }
}
