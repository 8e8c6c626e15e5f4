import Glibc
import Interview

/// A prompter for terminals that uses GNU Readline for editing, history and completion.
///
/// It uses Readline's callback interface and a single poll(2), so that a countdown runs while the user types, and the
/// terminal is restored on every exit.
package actor ReadlinePrompter: Prompter {
    private let executor = TerminalExecutor()
    private let style: Style
    private let editor = LineEditor()
    private let signals = SignalPipe()
    private var histories: [String: [String]] = [:]

    /// Creates a prompter for the terminal on standard input and standard error.
    package init(style: Style) {
        self.style = style
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    package var columns: Int { StandardError.columns }

    package func write(_ lines: [Line]) {
        StandardError.write(lines.map { style.render($0) + "\n" }.joined())
    }

    package func discardTypedAhead() { tcflush(STDIN_FILENO, TCIFLUSH) }

    package func readLine(_ request: LineRequest) async -> LineInput {
        await read(request, every: nil) { Tick(prompt: request.prompt) }
    }

    package func readLine(
        _ request: LineRequest, every interval: Duration, onTick: @Sendable () async -> Tick
    ) async -> LineInput {
        await read(request, every: interval, onTick: onTick)
    }

    private func read(
        _ request: LineRequest, every interval: Duration?, onTick: @Sendable () async -> Tick
    ) async -> LineInput {
        let previous = signals.install()
        editor.begin(
            prompt: request.prompt, prefill: request.prefill, completions: request.completions,
            history: histories[request.history, default: []])
        let input = await edit(request.prompt, every: interval, onTick: onTick)
        editor.end()
        signals.restore(previous)
        if case .line(let line) = input { remember(line, request.history) }
        return input
    }

    private func edit(
        _ prompt: String, every interval: Duration?, onTick: @Sendable () async -> Tick
    ) async -> LineInput {
        let input = InputWait(descriptor: STDIN_FILENO, signals: signals)
        var prompt = prompt
        var next = interval.map { ContinuousClock.now + $0 }
        while true {
            let wakeup = input.wait(until: next)
            if let ending = handle(wakeup.signals) { return ending }
            if wakeup.hasInput, let finished = editor.readKeys() {
                switch finished {
                case .line(let line): return .line(line)
                case .endOfInput: return wakeup.isGone ? .endOfInput : .endedByKey
                }
            }
            if wakeup.isGone { return .endOfInput }
            guard let interval, let due = next, ContinuousClock.now >= due else { continue }
            let tick = await onTick()
            // Counted from now, so that a process that was stopped does not catch up on missed ticks.
            next = ContinuousClock.now + interval
            if tick.stops {
                editor.clear()
                write(tick.lines)
                return .overtaken
            }
            if !tick.lines.isEmpty {
                editor.interrupt(prompt: tick.prompt) { write(tick.lines) }
            } else if tick.prompt != prompt {
                editor.setPrompt(tick.prompt)
            }
            prompt = tick.prompt
        }
    }

    /// Handles signals.
    ///
    /// Returns the input result if a signal ends the input.
    private func handle(_ signals: [Int32]) -> LineInput? {
        for signal in signals {
            switch signal {
            case SIGINT, SIGQUIT:
                // This must happen before the terminal is released, which moves the cursor.
                editor.goToEnd()
                StandardError.write("^C\n")
                return .interrupted
            case SIGTERM, SIGHUP:
                StandardError.write("\n")
                return .endOfInput
            case SIGWINCH: editor.resize()
            case SIGTSTP: editor.released { self.signals.stop() }
            default: break
            }
        }
        return nil
    }

    private func remember(_ line: String, _ name: String) {
        guard !line.isEmpty, histories[name]?.last != line else { return }
        histories[name, default: []].append(line)
    }
}
