import Dispatch
import Glibc

/// The owner's end of an agent: a process, a pipe to it and a pipe from it.
///
/// A serial queue protects all state: requests are answered one after the other, and no thread of Swift's pool blocks.
final class AgentProcess: @unchecked Sendable {
    /// The process that was started; the agent itself may be its child.
    let id: pid_t
    private let requests: Int32
    private let replies: Int32
    private let errors: Int32
    private let queue = DispatchQueue(label: "latchkey.agent")
    private var unread: [UInt8] = []
    private var isOver = false

    /// Nothing from the caller's environment, because sudo may have passed on anything.
    private static let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]

    /// Starts a program whose standard input and output carry the lines.
    /// - Throws: `AgentFailure` when it cannot be started.
    init(_ words: [String]) throws(AgentFailure) {
        // Socket pairs, because they are closed on exec from the start: if any other child of this process held the
        // writing end, the agent would not see its owner's death.
        let input = try Self.pair()
        let output = try Self.pair()
        let errors = try Self.pair()
        defer { [input.theirs, output.theirs, errors.theirs].forEach { close($0) } }

        do throws(AgentFailure) {
            id = try Self.spawn(words, input: input.theirs, output: output.theirs, errors: errors.theirs)
        } catch {
            [input.ours, output.ours, errors.ours].forEach { close($0) }
            throw error
        }
        requests = input.ours
        replies = output.ours
        self.errors = errors.ours
    }

    /// Starts a program in a process group of its own.
    ///
    /// - Throws: `AgentFailure` when it cannot be started.
    static func spawn(
        _ words: [String], input: Int32, output: Int32, errors: Int32
    ) throws(AgentFailure) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        // A separate process group: the terminal's SIGINT on Ctrl-C is for the wizard, not for the stage.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))

        var arguments = words.map { strdup($0) } + [nil]
        defer { arguments.forEach { free($0) } }
        var variables = Self.environment.map { strdup($0) } + [nil]
        defer { variables.forEach { free($0) } }
        var id: pid_t = 0
        let failure = posix_spawn(&id, words.first ?? "", &actions, &attributes, &arguments, &variables)
        guard failure == 0 else { throw AgentFailure(reason: String(cString: strerror(failure))) }
        return id
    }

    /// Sends a request and waits for its reply.
    /// - Throws: `AgentFailure` when the agent is gone, refuses, or does not answer in time.
    func ask(_ request: AgentRequest, within limit: Duration) async throws(AgentFailure) -> AgentReply {
        let result: Result<AgentReply, AgentFailure> = await withCheckedContinuation { continuation in
            queue.async {
                let result = Result { () throws(AgentFailure) in try self.askNow(request, until: .now + limit) }
                continuation.resume(returning: result)
            }
        }
        let reply = try result.get()
        if case .failed(let reason) = reply { throw AgentFailure(reason: reason) }
        return reply
    }

    /// Closes the pipes, which ends the agent, and waits for the process.
    func end() { queue.sync { endNow() } }

    // Not on the queue: the last owner may be a block on it, which would wait for itself.
    deinit { endNow() }

    private func endNow() {
        guard !isOver else { return }
        isOver = true
        [requests, replies, errors].forEach { close($0) }
        var status: Int32 = 0
        for _ in 0..<1000 {
            guard waitpid(id, &status, WNOHANG) == 0 else { return }
            usleep(1000)
        }
        // Stopped or stuck. unshare takes its child along (--kill-child).
        kill(id, SIGKILL)
        waitpid(id, &status, 0)
    }

    // MARK: - On the queue

    private func askNow(
        _ request: AgentRequest, until end: ContinuousClock.Instant
    ) throws(AgentFailure)
        -> AgentReply
    {
        guard !isOver else { throw AgentFailure(reason: "the stage is closed") }
        guard let line = try? AgentLine.encode(request) else {
            throw AgentFailure(reason: "the request cannot be encoded")
        }
        var written = 0
        while written < line.count {
            let count = line[written...].withUnsafeBytes {
                send(requests, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 || errno == EINTR else { throw AgentFailure(reason: lastWords()) }
            written += max(0, count)
        }
        while true {
            if let index = unread.firstIndex(of: AgentLine.end) {
                let reply = try? AgentLine.decode(AgentReply.self, from: unread[..<index])
                unread.removeSubrange(...index)
                guard let reply else { throw AgentFailure(reason: "the answer is not valid") }
                return reply
            }
            try readMore(until: end)
        }
    }

    private func readMore(until end: ContinuousClock.Instant) throws(AgentFailure) {
        var watched = pollfd(fd: replies, events: Int16(POLLIN), revents: 0)
        let milliseconds = max(0, min((end - .now) / .milliseconds(1), 600_000))
        let ready = poll(&watched, 1, Int32(milliseconds.rounded(.up)))
        guard ready != 0 else { throw AgentFailure(reason: "no answer in time") }
        guard ready > 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = read(replies, &buffer, buffer.count)
        guard count > 0 || (count < 0 && errno == EINTR) else { throw AgentFailure(reason: lastWords()) }
        unread += buffer[..<max(0, count)]
    }

    /// What the process wrote to standard error before it ended.
    private func lastWords() -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(errors, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        let text = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
        let line = text.split(separator: "\n").first.map(String.init)
        return line ?? "it ended without a message"
    }

    /// Two ends of a connection, closed on exec.
    static func pair() throws(AgentFailure) -> (ours: Int32, theirs: Int32) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw AgentFailure(reason: "socketpair: \(String(cString: strerror(errno)))")
        }
        return (ends[0], ends[1])
    }
}

/// Why an agent failed.
struct AgentFailure: Error {
    let reason: String
}
