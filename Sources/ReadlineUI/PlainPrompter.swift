import Glibc
import Interview

/// A prompter without line editing and redrawing, for pipes, dumb terminals and screen readers.
package actor PlainPrompter: Prompter {
    /// The interval at which a countdown is printed.
    ///
    /// Each update is a new line.
    private static let countdownInterval = Duration.seconds(10)
    /// The maximum length of a line in bytes.
    ///
    /// A longer line ends the input.
    private static let limit = 1 << 16

    private let executor = TerminalExecutor()
    private let style: Style
    private let descriptor: Int32
    private let echoes: Bool
    private let signals = SignalPipe()
    private var buffer: [UInt8] = []
    private var hasEnded = false
    private var wasEndedByKey = false

    /// Creates a prompter that reads this descriptor.
    ///
    /// `echoes` prints the input, if no terminal does.
    package init(descriptor: Int32 = STDIN_FILENO, echoes: Bool, style: Style = Style(colour: false)) {
        self.descriptor = descriptor
        self.echoes = echoes
        self.style = style
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    package var columns: Int { StandardError.columns }

    package func write(_ lines: [Line]) {
        StandardError.write(lines.map { style.render($0) + "\n" }.joined())
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
        let previous = signals.install()
        StandardError.write(request.prompt)
        let input = await answer(every: interval, onTick: onTick)
        signals.restore(previous)
        switch input {
        case .line(let line): if echoes { StandardError.write(line.escapedIfNeeded + "\n") }
        case .endOfInput, .endedByKey, .interrupted: StandardError.write("\n")
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
                StandardError.write("\n")
                write(tick.lines)
                return .overtaken
            }
            if !tick.lines.isEmpty || ContinuousClock.now - shown >= Self.countdownInterval {
                StandardError.write("\n")
                write(tick.lines)
                StandardError.write(tick.prompt)
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

    /// The next complete line.
    ///
    /// At the end of input, the last line may lack a newline.
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
    /// The line as it was read, with control characters escaped.
    fileprivate var escapedIfNeeded: String {
        unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && !(0x80...0x9F).contains($0.value) }
            ? self : debugDescription
    }
}
