import Glibc

/// Delivers signals as bytes in a pipe, so that one poll(2) waits for both keys and signals.
///
/// The handlers are installed only while the prompter reads a line. At other times, signals have their usual effect.
struct SignalPipe: Sendable {
    /// The signals that are handled while the prompter reads a line.
    static let caught: [Int32] = [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH]

    /// The read end, to poll.
    var descriptor: Int32 { signalPipeEnds.read }

    /// Installs the handlers.
    ///
    /// Returns the previous handlers.
    func install() -> [(signal: Int32, previous: sigaction)] {
        // Discard signals that arrived after the previous line.
        _ = drain()
        return SignalPipe.caught.map { signal in
            var previous = sigaction()
            sigaction(signal, nil, &previous)
            // If the signal is ignored, for example because of nohup, keep ignoring it.
            if previous.isIgnoring { return (signal, previous) }
            SignalPipe.catchSignal(signal)
            return (signal, previous)
        }
    }

    /// Restores the previous handlers.
    func restore(_ previous: [(signal: Int32, previous: sigaction)]) {
        for (signal, action) in previous {
            var action = action
            sigaction(signal, &action, nil)
        }
    }

    /// The signals that arrived since the last call.
    func drain() -> [Int32] {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(descriptor, &bytes, bytes.count)
        return count > 0 ? bytes.prefix(count).map { Int32($0) } : []
    }

    /// Suspends this process like Ctrl-Z.
    ///
    /// Returns when the process continues.
    func stop() {
        var standard = sigaction()
        standard.__sigaction_handler.sa_handler = SIG_DFL
        sigaction(SIGTSTP, &standard, nil)
        kill(getpid(), SIGTSTP)
        SignalPipe.catchSignal(SIGTSTP)
    }

    private static func catchSignal(_ signal: Int32) {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { signal in
            // Only async-signal-safe calls (signal-safety(7)). The pipe was created before the handler.
            let saved = errno
            var byte = UInt8(truncatingIfNeeded: signal)
            _ = write(signalPipeEnds.write, &byte, 1)
            errno = saved
        }
        // Without SA_RESTART, so that poll(2) returns.
        sigaction(signal, &action, nil)
    }
}

/// Both ends of the pipe, non-blocking, so that a full pipe does not block a signal handler.
private let signalPipeEnds: (read: Int32, write: Int32) = {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return (-1, -1) }
    for end in ends {
        _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    return (ends[0], ends[1])
}()

extension sigaction {
    /// Whether the signal is ignored.
    fileprivate var isIgnoring: Bool {
        unsafeBitCast(__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }
}
