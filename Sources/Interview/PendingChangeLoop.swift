/// Shows a pending change and handles the user's commands, until the change ends or the user leaves.
package struct PendingChangeLoop: Sendable {
    /// How the loop ended.
    package enum Ending: Equatable, Sendable {
        /// The change ended with this outcome.
        case outcome(PendingChangeScreen.Ending)
        /// The user left while the change was pending. The guard continues.
        case left
    }

    private let prompter: any Prompter
    private let connection: any GuardConnection
    private let interval: Duration

    /// Creates a loop that asks the guard for its status at this interval.
    package init(prompter: any Prompter, connection: any GuardConnection, interval: Duration = .milliseconds(500)) {
        self.prompter = prompter
        self.connection = connection
        self.interval = interval
    }

    /// Shows the countdown and sends the user's commands to the guard.
    package func run(_ screen: PendingChangeScreen) async -> Ending {
        let state = ScreenState(screen)
        await state.update { $0.screen = Screen(columns: await prompter.columns) }
        await prompter.write(await state.screen.begin())
        while true {
            // Also before the first prompt: a login that was already detected is shown above it.
            let tick = await state.tick(await connection.status())
            await prompter.write(tick.lines)
            if let outcome = await state.outcome { return .outcome(outcome) }
            let input = await prompter.readLine(await state.screen.request, every: interval) { [connection] in
                await state.tick(await connection.status())
            }
            if let outcome = await state.outcome { return .outcome(outcome) }
            await state.update { $0.screen = Screen(columns: await prompter.columns) }
            let turn: PendingChangeScreen.Turn =
                switch input {
                case .line(let text): await state.step { $0.input(text) }
                case .interrupted, .endedByKey: await state.step { $0.interrupted() }
                case .endOfInput: await state.step { $0.endOfInput() }
                case .overtaken: PendingChangeScreen.Turn([])
                }
            await prompter.write(turn.lines)
            guard let request = turn.request else { continue }
            if let ending = await perform(request, state) { return ending }
        }
    }

    private func perform(_ request: PendingChangeScreen.Request, _ state: ScreenState) async -> Ending? {
        let reply: PendingChangeReply
        switch request {
        case .confirm(let sameConnection): reply = await connection.confirm(sameConnection: sameConnection)
        case .revert: reply = await connection.revert()
        case .extend: reply = await connection.extend()
        case .leave: return .left
        case .wait: return await waitForOutcome(state)
        }
        switch reply {
        case .ended(let outcome):
            await prompter.write(await state.screen.ended(outcome))
            return .outcome(outcome)
        case .extended(let secondsLeft):
            await prompter.write(await state.stepLines { $0.extended(secondsLeft: secondsLeft) })
        case .refused(let reasons):
            await prompter.write(await state.screen.refused(reasons))
        }
        return nil
    }

    /// Waits for the outcome without asking for input, after the input has ended.
    private func waitForOutcome(_ state: ScreenState) async -> Ending {
        while true {
            let tick = await state.tick(await connection.status())
            await prompter.write(tick.lines)
            if let outcome = await state.outcome { return .outcome(outcome) }
            do {
                try await Task.sleep(for: interval)
            } catch {
                return .left
            }
        }
    }
}

/// The state of the screen. Both the countdown and the typed lines change it.
private actor ScreenState {
    private(set) var screen: PendingChangeScreen
    private(set) var outcome: PendingChangeScreen.Ending?

    init(_ screen: PendingChangeScreen) {
        self.screen = screen
    }

    func update(_ change: (inout PendingChangeScreen) async -> Void) async {
        var copy = screen
        await change(&copy)
        screen = copy
    }

    func step(_ change: (inout PendingChangeScreen) -> PendingChangeScreen.Turn) -> PendingChangeScreen.Turn {
        change(&screen)
    }

    func stepLines(_ change: (inout PendingChangeScreen) -> [Line]) -> [Line] {
        change(&screen)
    }

    /// Updates the screen from the guard's latest status.
    func tick(_ status: PendingChangeStatus) -> Tick {
        if let outcome = status.outcome {
            guard self.outcome == nil else { return Tick(prompt: screen.prompt, stops: true) }
            self.outcome = outcome
            return Tick(lines: screen.ended(outcome), prompt: screen.prompt, stops: true)
        }
        screen.tick(secondsLeft: status.secondsLeft)
        let lines = status.freshLogin.map { screen.freshConnection(from: $0.peer, note: $0.note) } ?? []
        return Tick(lines: lines, prompt: screen.prompt)
    }
}
