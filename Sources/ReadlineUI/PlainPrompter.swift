import Glibc
import Interview

/// Asks without a terminal's help: through a pipe, or at a dumb terminal. The same questions, nothing redrawn.
package actor PlainPrompter: Prompter {
    /// How often a countdown shows its seconds, as each showing is a new line.
    private static let showing = Duration.seconds(10)
    /// A line longer than this is no answer but a flood.
    private static let limit = 1 << 16

    private let executor = TerminalExecutor()
    private let style: Style
    private let descriptor: Int32
    private let echoes: Bool
    private let signals = SignalPipe()
    private var buffer: [UInt8] = []
    private var hasEnded = false
    private var wasEndedByKey = false

    /// Makes a prompter that reads this descriptor; `echoes` shows what was read, where no terminal does.
    package init(descriptor: Int32 = STDIN_FILENO, echoes: Bool, style: Style = Style(colour: false)) {
        self.descriptor = descriptor
        self.echoes = echoes
        self.style = style
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    package var columns: Int { Talk.columns }

    package func write(_ lines: [Line]) {
        Talk.write(lines.map { style.render($0) + "\n" }.joined())
    }

    package func discardTypedAhead() {
        guard isatty(descriptor) == 1 else { return }
        tcflush(descriptor, TCIFLUSH)
        buffer = []
    }

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
        Talk.write(request.prompt)
        let input = await answer(every: interval, onTick: onTick)
        signals.restore(earlier)
        switch input {
        case .line(let line): if echoes { Talk.write(line.quotedUnlessPlain + "\n") }
        case .endOfInput, .endedByKey, .interrupted: Talk.write("\n")
        case .overtaken: break
        }
        return input
    }

    private func answer(every interval: Duration?, onTick: @Sendable () async -> Tick) async -> LineInput {
        let input = InputWait(descriptor: descriptor, signals: signals)
        var next = interval.map { ContinuousClock.now + $0 }
        var shown = ContinuousClock.now
        while true {
            if let line = takeLine() { return .line(line) }
            if hasEnded { return .endOfInput }
            let wakeup = input.wait(until: next)
            for signal in wakeup.signals {
                switch signal {
                case SIGINT, SIGQUIT: return .interrupted
                case SIGTERM, SIGHUP: return .endOfInput
                case SIGTSTP: signals.stop()
                default: break
                }
            }
            if wakeup.hasInput { fill() }
            if wakeup.isGone { hasEnded = true }
            if wasEndedByKey {
                wasEndedByKey = false
                return .endedByKey
            }
            guard let interval, let due = next, ContinuousClock.now >= due else { continue }
            let tick = await onTick()
            next = ContinuousClock.now + interval
            if tick.stops {
                Talk.write("\n")
                write(tick.lines)
                return .overtaken
            }
            if !tick.lines.isEmpty || ContinuousClock.now - shown >= Self.showing {
                Talk.write("\n")
                write(tick.lines)
                Talk.write(tick.prompt)
                shown = ContinuousClock.now
            }
        }
    }

    private func fill() {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        if count > 0 {
            buffer += bytes.prefix(count)
            if buffer.count > Self.limit, !buffer.contains(UInt8(ascii: "\n")) { hasEnded = true }
        } else if count == 0, isatty(descriptor) == 1 {
            wasEndedByKey = true
        } else if count == 0 || (errno != EINTR && errno != EAGAIN) {
            hasEnded = true
        }
    }

    /// The next whole line; at the end of input also one that no newline ends.
    private func takeLine() -> String? {
        if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
            var line = buffer[..<end]
            if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
            let text = String(decoding: line, as: UTF8.self)
            buffer.removeSubrange(...end)
            return text
        }
        guard hasEnded, !buffer.isEmpty, buffer.count <= Self.limit else { return nil }
        defer { buffer = [] }
        return String(decoding: buffer, as: UTF8.self)
    }
}

extension String {
    /// The line as it was read; written out where a terminal would obey it.
    fileprivate var quotedUnlessPlain: String {
        unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && !(0x80...0x9F).contains($0.value) }
            ? self : debugDescription
    }
}
