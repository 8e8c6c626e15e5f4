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
        commandName: "setup", abstract: "Ask, show the result, put it in force, and keep it once it is proved.")

    @OptionGroup var answers: AnswersOptions
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var change: ChangeOptions
    @OptionGroup var screen: ScreenOptions
    /// Set by `latchkey try`: this process is inside the throwaway network, and the outside has this address.
    @Option(name: .customLong("trial"), help: .hidden) var trial: String?

    func run(in context: CommandContext) async throws -> ProgramStatus {
        if trial != nil { Signals.reset() }
        guard answers.file != "-" else {
            throw Failure(.usage, "--answers -: standard input is where the wizard reads what you type.")
        }
        guard let prompter = Terminal.prompter(environment: context.environment, isPlain: screen.isPlain) else {
            throw Failure(.usage, Terminal.needed.joined(separator: " "))
        }
        let changeRunner = ChangeRunner(in: context)
        do {
            if context.userID == 0, let status = try await changeRunner.client.current(), !status.state.isFinal {
                let (ending, _) = await watch(
                    status, resumed(changeRunner), prompter, changeRunner, Caller(context.facts))
                return ending
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
        if let trial { discovery.peer = try? IPAddress(parsing: trial) }
        // Through a pipe the questions are always the same ones.
        let drafts = Terminal.isInteractive ? SetupDraft(in: context, clock: changeRunner.environment.clock) : nil
        let wizard = Wizard(
            discovery: discovery, catalog: planner.catalog, proposals: try proposals(planner, in: context),
            draft: answers.file == nil ? drafts?.read(planner) : nil, deadline: change.deadline.seconds,
            mode: trial == nil ? .setup : .trial)
        var rehearsalRunner = try? await RehearsalRunner(changeRunner, change.backend, caller: caller)
        if trial != nil {
            rehearsalRunner?.you = discovery.peer
            rehearsalRunner?.yourPort = discovery.peerPort ?? discovery.sshPorts.first
        }
        let actions = SetupActions(
            planner: planner, facts: context.facts, caller: caller, live: machineDiscovery.live,
            rehearsalRunner: rehearsalRunner,
            skipsRehearsal: change.rehearsal.isSkipped,
            isRoot: context.userID == 0)
        let (ending, finished) = await Conversation(prompter: prompter, actions: actions) { drafts?.write($0) }
            .run(wizard)
        guard ending == .apply else {
            if drafts != nil, trial == nil, finished.draft != nil {
                await prompter.write(
                    finished.screen.paragraph("Your answers are kept: latchkey offers them next time.", indent: 0))
            }
            return .quit
        }

        try context.requireRoot("setup")
        let plan = try planner.plan(finished.answers)
        var options = change
        options.time.deadline = DeadlineOption(seconds: finished.deadline) ?? options.deadline
        let request = try await changeRunner.request(
            plan, rules: try planner.rules(plan), caller: caller, options: options, layout: context.layout)
        let status = try await changeRunner.client.begin(request, progress: Progress.dots(on: context.console))
        Progress.end(on: context.console)
        let (result, outcome) = await watch(status, .begun, prompter, changeRunner, caller)
        switch outcome {
        case .kept, .keptOnTrial: drafts?.remove()
        case .reverted where drafts != nil && trial == nil:
            await prompter.write(
                finished.screen.paragraph("Your answers are saved: latchkey offers them next time.", indent: 0))
        case .reverted, .failed, nil: break
        }
        return result
    }

    /// How someone comes back to a pending change: proved by their own connection or not.
    private func resumed(_ changeRunner: ChangeRunner) -> PendingChangeScreen.Entry {
        let journal = try? JournalFile(layout: changeRunner.environment.layout).read()
        guard let since = journal?.freshSince,
            case .fresh(let address) = changeRunner.environment.witness.proof(OwnProcess.pid, since)
        else { return .resumed(anewFrom: nil) }
        return .resumed(anewFrom: try? IPAddress(parsing: address))
    }

    /// The answers of the last kept change, or of a file, to be taken with Enter.
    private func proposals(_ planner: Planner, in context: CommandContext) throws(Failure) -> Answers? {
        guard answers.file != nil || SecureFiles.exists(context.layout.answers) else { return nil }
        do { return try planner.answers(try answers.read(in: context)) } catch {
            // Kept answers that only root may read are no proposals for others.
            if answers.file == nil, error.status == .needsRoot { return nil }
            throw error
        }
    }

    private func watch(
        _ status: ChangeStatus, _ opening: PendingChangeScreen.Entry, _ prompter: any Prompter,
        _ changeRunner: ChangeRunner, _ caller: Caller
    ) async -> (status: ProgramStatus, outcome: PendingChangeScreen.Ending?) {
        let seen = PendingChangeStatus(status)
        let screen = PendingChangeScreen(secondsLeft: seen.secondsLeft, opening: opening, proof: proof(caller))
        let ending: PendingChangeLoop.Ending
        if let outcome = seen.outcome {
            await prompter.write(screen.ended(outcome))
            ending = .outcome(outcome)
        } else {
            let line = WizardGuardConnection(
                client: changeRunner.client, family: caller.peer?.family, isTrial: trial != nil)
            ending = await PendingChangeLoop(prompter: prompter, guard: line).run(screen)
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

    /// What to type elsewhere, with this machine's own values.
    private func proof(_ caller: Caller) -> PendingChangeScreen.LoginTest {
        if trial != nil { return .needless(reason: "Nobody can log in to this throwaway network: keep, or wait.") }
        switch caller.origin {
        case .local(let place):
            return .impossible(
                reason: "You are at this machine itself (\(place)). Try from another machine what shall work.")
        case .remoteUnproven:
            // The user is known, and where several addresses are, the first that has no other meaning.
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
