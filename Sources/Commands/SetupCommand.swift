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
        let changing = Changing(in: context)
        do {
            if context.userID == 0, let status = try await changing.client.current(), !status.state.isFinal {
                let (ending, _) = await watch(status, resumed(changing), prompter, changing, Caller())
                return ending
            }
            return try await ask(prompter, changing, in: context)
        } catch let error as ChangeError { throw Failure(error) }
    }

    private func ask(
        _ prompter: any Prompter, _ changing: Changing, in context: CommandContext
    ) async throws -> ProgramStatus {
        let caller = Caller()
        let planning = try await Planning(templates, in: context)
        let discovering = await Discovering(changing, backend: change.backend.named)
        var discovery = discovering.discovery(caller: caller, sshPorts: planning.sshPorts)
        if let trial { discovery.peer = try? IPAddress(parsing: trial) }
        // Through a pipe the questions are always the same ones.
        let drafts = Terminal.isInteractive ? SetupDraft(in: context, clock: changing.surroundings.clock) : nil
        let wizard = Wizard(
            discovery: discovery, catalog: planning.catalog, proposals: try proposals(planning, in: context),
            draft: answers.file == nil ? drafts?.read(planning) : nil, deadline: change.deadline.seconds,
            mode: trial == nil ? .setup : .trial)
        var rehearsing = try? await Rehearsing(changing, change.backend, caller: caller)
        if trial != nil {
            rehearsing?.you = discovery.peer
            rehearsing?.yourPort = discovery.peerPort ?? discovery.sshPorts.first
        }
        let workbench = SetupWorkbench(
            planning: planning, caller: caller, live: discovering.live, rehearsing: rehearsing,
            skipsRehearsal: change.rehearsal.isSkipped,
            isRoot: context.userID == 0)
        let (ending, finished) = await Conversation(prompter: prompter, workbench: workbench) { drafts?.write($0) }
            .run(wizard)
        guard ending == .apply else {
            if drafts != nil, trial == nil, finished.draft != nil {
                await prompter.write(
                    finished.screen.paragraph("Your answers are kept: latchkey offers them next time.", indent: 0))
            }
            return .quit
        }

        try context.requireRoot("setup")
        let plan = try planning.plan(finished.answers)
        var options = change
        options.time.deadline = DeadlineOption(seconds: finished.deadline) ?? options.deadline
        let request = try await changing.request(
            plan, rules: try planning.rules(plan), caller: caller, options: options, layout: context.layout)
        let status = try await changing.client.begin(request, progress: Progress.dots(on: context.console))
        Progress.end(on: context.console)
        let (result, outcome) = await watch(status, .begun, prompter, changing, caller)
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
    private func resumed(_ changing: Changing) -> ChangeScreen.Opening {
        let journal = try? JournalFile(layout: changing.surroundings.layout).read()
        guard let since = journal?.freshSince,
            case .fresh(let address) = changing.surroundings.witness.proof(OwnProcess.pid, since)
        else { return .resumed(anewFrom: nil) }
        return .resumed(anewFrom: try? IPAddress(parsing: address))
    }

    /// The answers of the last kept change, or of a file, to be taken with Enter.
    private func proposals(_ planning: Planning, in context: CommandContext) throws(Failure) -> Answers? {
        guard answers.file != nil || SecureFiles.exists(context.layout.answers) else { return nil }
        do { return try planning.answers(try answers.read(in: context)) } catch {
            // Kept answers that only root may read are no proposals for others.
            if answers.file == nil, error.status == .needsRoot { return nil }
            throw error
        }
    }

    private func watch(
        _ status: SafeApply.ChangeStatus, _ opening: ChangeScreen.Opening, _ prompter: any Prompter,
        _ changing: Changing, _ caller: Caller
    ) async -> (status: ProgramStatus, outcome: ChangeScreen.Outcome?) {
        let seen = Interview.ChangeStatus(status)
        let screen = ChangeScreen(secondsLeft: seen.secondsLeft, opening: opening, proof: proof(caller))
        let ending: Vigil.Ending
        if let outcome = seen.outcome {
            await prompter.write(screen.ended(outcome))
            ending = .outcome(outcome)
        } else {
            let line = SetupGuardLine(client: changing.client, family: caller.peer?.family, isTrial: trial != nil)
            ending = await Vigil(prompter: prompter, guard: line).run(screen)
        }
        switch ending {
        case .left: return (.done, nil)
        case .outcome(let outcome):
            switch outcome {
            case .kept, .keptOnTrial: return (.done, outcome)
            case .reverted: return (.reverted, outcome)
            case .failed:
                let last = try? await changing.client.current()
                return (last.map { ProgramStatus(waitedFor: $0) } ?? .failed, outcome)
            }
        }
    }

    /// What to type elsewhere, with this machine's own values.
    private func proof(_ caller: Caller) -> ChangeScreen.Proof {
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

/// What this process does when signals arrive.
enum Signals {
    /// As a program started from a shell finds them; `latchkey try` ignores some, and children inherit that.
    static func reset() {
        for number in [SIGINT, SIGQUIT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) }
    }

    /// Leaves the keys of the terminal to the program in front.
    static func leaveKeysToChild() {
        for number in [SIGINT, SIGQUIT] { signal(number, SIG_IGN) }
    }
}
