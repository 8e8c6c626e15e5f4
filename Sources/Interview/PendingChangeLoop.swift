/// Watches a pending change together with the person, until it ends or the person leaves.
package struct PendingChangeLoop: Sendable {
    /// How a vigil ended.
    package enum Ending: Equatable, Sendable {
        /// The change ended like this.
        case outcome(PendingChangeScreen.Ending)
        /// The person left while it was pending; the guard goes on.
        case left
    }

    private let prompter: any Prompter
    private let line: any GuardConnection
    private let interval: Duration

    /// Makes a vigil that asks the guard for its state at this interval.
    package init(prompter: any Prompter, guard line: any GuardConnection, interval: Duration = .milliseconds(500)) {
        self.prompter = prompter
        self.line = line
        self.interval = interval
    }

    /// Shows the countdown and carries the person's words to the guard.
    package func run(_ screen: PendingChangeScreen) async -> Ending {
        let state = ScreenState(screen)
        await state.update { $0.screen = Screen(columns: await prompter.columns) }
        await prompter.write(await state.screen.begin())
        while true {
            // Before the first prompt too: a login that is there already belongs above it.
            let tick = await state.tick(await line.status())
            await prompter.write(tick.lines)
            if let outcome = await state.outcome { return .outcome(outcome) }
            let input = await prompter.readLine(await state.screen.request, every: interval) { [line] in
                await state.tick(await line.status())
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
            if let ending = await fulfil(request, state) { return ending }
        }
    }

    private func fulfil(_ request: PendingChangeScreen.Request, _ state: ScreenState) async -> Ending? {
        let reply: PendingChangeReply
        switch request {
        case .confirm(let sameConnection): reply = await line.confirm(sameConnection: sameConnection)
        case .revert: reply = await line.revert()
        case .extend: reply = await line.extend()
        case .leave: return .left
        case .wait: return await outcomeAlone(state)
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

    /// Waits without asking: the input has ended, and the change has not.
    private func outcomeAlone(_ state: ScreenState) async -> Ending {
        while true {
            let tick = await state.tick(await line.status())
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

/// The screen's state, which both the countdown and the typed lines change.
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

    /// What the newest word from the guard changes on the screen.
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
