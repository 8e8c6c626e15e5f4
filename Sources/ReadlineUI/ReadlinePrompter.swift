import Glibc
import Interview

/// Asks at a terminal, with GNU Readline: editing, history and completion.
///
/// Everything goes through Readline's callback interface and one poll(2), so that a countdown runs while a person
/// types, and the terminal is given back on every way out.
package actor ReadlinePrompter: Prompter {
    private let executor = TerminalExecutor()
    private let style: Style
    private let editor = LineEditor()
    private let signals = SignalPipe()
    private var histories: [String: [String]] = [:]

    /// Makes a prompter for the terminal behind standard input and standard error.
    package init(style: Style) {
        self.style = style
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    package var columns: Int { Talk.columns }

    package func write(_ lines: [Line]) {
        Talk.write(lines.map { style.render($0) + "\n" }.joined())
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
        let earlier = signals.install()
        editor.begin(
            prompt: request.prompt, prefill: request.prefill, completions: request.completions,
            history: histories[request.history, default: []])
        let input = await edit(request.prompt, every: interval, onTick: onTick)
        editor.end()
        signals.restore(earlier)
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
            if let ending = obey(wakeup.signals) { return ending }
            if wakeup.hasInput, let finished = editor.readKeys() {
                switch finished {
                case .line(let line): return .line(line)
                case .endOfInput: return wakeup.isGone ? .endOfInput : .endedByKey
                }
            }
            if wakeup.isGone { return .endOfInput }
            guard let interval, let due = next, ContinuousClock.now >= due else { continue }
            let tick = await onTick()
            // From now on, not from when it was due: a process that was stopped has no ticks to make up for.
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

    /// Does what signals ask for; the way out, if one of them is.
    private func obey(_ signals: [Int32]) -> LineInput? {
        for signal in signals {
            switch signal {
            case SIGINT, SIGQUIT:
                // Before the terminal is given back, which moves the cursor.
                editor.goToEnd()
                Talk.write("^C\n")
                return .interrupted
            case SIGTERM, SIGHUP:
                Talk.write("\n")
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
