import Glibc

/// Signals as bytes in a pipe, so that one poll(2) waits for keys and signals alike.
///
/// Handlers are in place only while a line is asked for; at all other times signals do what they always do.
struct SignalPipe: Sendable {
    /// What a person or the system may send while a line is asked for.
    static let caught: [Int32] = [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH]

    /// The end to poll.
    var descriptor: Int32 { signalPipeEnds.read }

    /// Puts the handlers in place and gives back what was there before.
    func install() -> [(signal: Int32, earlier: sigaction)] {
        // What a signal left in the pipe after the last line is old news.
        _ = drain()
        return SignalPipe.caught.map { signal in
            var earlier = sigaction()
            sigaction(signal, nil, &earlier)
            // A program that ignores a signal, under nohup for example, means it.
            if earlier.isIgnoring { return (signal, earlier) }
            SignalPipe.catchSignal(signal)
            return (signal, earlier)
        }
    }

    /// Puts the earlier handlers back.
    func restore(_ earlier: [(signal: Int32, earlier: sigaction)]) {
        for (signal, action) in earlier {
            var action = action
            sigaction(signal, &action, nil)
        }
    }

    /// The signals that have come since the last time.
    func drain() -> [Int32] {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(descriptor, &bytes, bytes.count)
        return count > 0 ? bytes.prefix(count).map { Int32($0) } : []
    }

    /// Stops this process as Ctrl-Z does, and comes back when it is continued.
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
            // Only what signal-safety(7) allows: the pipe's ends were made before the handler was.
            let saved = errno
            var byte = UInt8(truncatingIfNeeded: signal)
            _ = write(signalPipeEnds.write, &byte, 1)
            errno = saved
        }
        // No SA_RESTART: poll(2) shall come back.
        sigaction(signal, &action, nil)
    }
}

/// Both ends, non-blocking: a full pipe must not hold a signal handler up.
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
