import Dispatch
import Glibc
import Synchronization

/// `nft monitor trace` while it runs: what it has printed so far.
final class TraceMonitor: Sendable {
    private let id: pid_t
    private let printed: Printed
    private let isOver = Mutex(false)

    /// Shared with the thread that reads.
    private final class Printed: Sendable {
        let bytes = Mutex<[UInt8]>([])
    }

    /// Starts the program, in a process group of its own.
    ///
    /// - Throws: `AgentFailure` when it cannot be started.
    init(_ words: [String]) throws(AgentFailure) {
        let ends = try AgentProcess.pair()
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer {
            close(ends.theirs)
            close(null)
        }
        do throws(AgentFailure) {
            id = try AgentProcess.spawn(words, input: null, output: ends.theirs, errors: null)
        } catch {
            close(ends.ours)
            throw error
        }
        let printed = Printed()
        self.printed = printed
        let descriptor = ends.ours
        // A thread of its own, which ends with the program: reading blocks.
        DispatchQueue(label: "latchkey.trace").async {
            var buffer = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                printed.bytes.withLock { $0 += buffer[..<count] }
            }
            close(descriptor)
        }
    }

    /// What has been printed so far.
    var text: String { printed.bytes.withLock { String(decoding: $0, as: UTF8.self) } }

    /// Why a wait ended.
    enum End {
        /// What was awaited has been printed.
        case complete
        /// It has not, and nothing more comes.
        case idle
        /// The time was over.
        case late
    }

    /// How many pauses without anything to read or print show that nothing more comes.
    private static let idlePauses = 10

    /// Waits until what is awaited has been printed, and then until nothing more is; or until nothing more comes.
    ///
    /// - Parameters:
    ///   - pause: how long nothing must have been printed.
    ///   - limit: how long to wait at most.
    ///   - isIdle: whether the program has read all that the kernel has reported.
    ///   - isComplete: whether the text holds what is awaited.
    /// - Returns: why the wait ended.
    func settle(
        _ pause: Duration = .milliseconds(40), within limit: Duration, isIdle: () -> Bool,
        _ isComplete: (String) -> Bool
    ) async -> End {
        let end = ContinuousClock.now + limit
        var count = -1
        var idle = 0
        while ContinuousClock.now < end {
            let now = printed.bytes.withLock(\.count)
            if now == count, isComplete(text) { return .complete }
            idle = now == count && isIdle() ? idle + 1 : 0
            if idle >= Self.idlePauses { return .idle }
            count = now
            try? await Task.sleep(for: pause)
        }
        return .late
    }

    /// Ends the program and all that it started.
    func end() {
        let isFirst = isOver.withLock { over in
            defer { over = true }
            return !over
        }
        guard isFirst else { return }
        kill(-id, SIGKILL)
        var status: Int32 = 0
        waitpid(id, &status, 0)
    }

    deinit { end() }
}
