import Glibc
import Netfilter

/// The part of latchkey that runs inside a namespace of a stage: it listens and sends probes for its owner.
///
/// It is the first process of the server's process namespace. It exits when its standard input ends, because the owner
/// closed the stage or died; the kernel then kills all processes inside and removes the namespaces.
package struct ProbeAgent {
    private let input: Int32
    private let output: Int32
    private var unread: [UInt8] = []
    private var listeners = ProbeListeners()
    /// Connections that wait for probes of the kind `established`.
    private var held: [Probe: AgentSocket] = [:]

    /// Serves requests, one JSON line each, until the input ends; returns the exit status.
    package static func run(input: Int32 = STDIN_FILENO, output: Int32 = STDOUT_FILENO) -> Int32 {
        // Every orphan of a process namespace becomes a child of its first process; with SIGCHLD ignored, it leaves no
        // zombie.
        if getpid() == 1 { signal(SIGCHLD, SIG_IGN) }
        signal(SIGPIPE, SIG_IGN)
        raiseDescriptorLimit()
        var agent = ProbeAgent(input: input, output: output)
        while true {
            agent.wait(for: [], until: nil)
            guard agent.readMore() else { return 0 }
            while let line = agent.nextLine() {
                guard agent.reply(agent.serve(line)) else { return 0 }
            }
        }
    }

    private init(input: Int32, output: Int32) {
        self.input = input
        self.output = output
    }

    // MARK: - Requests

    private mutating func serve(_ line: ArraySlice<UInt8>) -> AgentReply {
        do {
            switch try AgentLine.decode(AgentRequest.self, from: line) {
            case .begin(let ownRun):
                if ownRun, mount("tmpfs", "/run", "tmpfs", 0, "mode=755") != 0 {
                    throw SocketFailure(call: "mount /run", errno: errno)
                }
                return .done
            case .listen(let addresses, let tcp, let udp):
                try listeners.open(addresses.map(IPAddress.init(parsing:)), tcp: tcp, udp: udp)
                return .done
            case .forward:
                try Self.forward()
                return .done
            case .set(let values):
                try values.forEach { try Self.set("/proc/sys/\($0)", $1) }
                return .done
            case .deafen:
                listeners.close()
                return .done
            case .hold(let probes):
                return .answers(results: hold(probes))
            case .probe(let probes, let patience):
                return .answers(results: attempt(probes, patience: .milliseconds(patience)))
            }
        } catch let failure as SocketFailure {
            return .failed(reason: failure.text)
        } catch {
            return .failed(reason: "\(error)")
        }
    }

    /// Makes the kernel forward packets in this network, in the families that it has.
    private static func forward() throws {
        for path in ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"] {
            try set(path, "1")
        }
    }

    /// Writes a setting of the kernel, if the kernel has it.
    private static func set(_ path: String, _ value: String) throws {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        if file < 0, errno == ENOENT { return }
        guard file >= 0 else { throw SocketFailure(call: "open \(path)", errno: errno) }
        defer { close(file) }
        guard write(file, value, value.utf8.count) == value.utf8.count else {
            throw SocketFailure(call: "write \(path)", errno: errno)
        }
    }

    /// Connects, and keeps what is connected after at most one second.
    private mutating func hold(_ probes: [Probe]) -> [AgentAnswer] {
        var attempts: [Int32: (index: Int, attempt: Attempt)] = [:]
        var answers = [AgentAnswer?](repeating: nil, count: probes.count)
        for (index, probe) in probes.enumerated() {
            switch Attempt.begin(probe, identifier: 0) {
            case .over(let answer): answers[index] = answer
            case .waiting(let attempt): attempts[attempt.descriptor] = (index, attempt)
            }
        }
        let waiting = attempts
        collect(&attempts, &answers, until: .now + .seconds(1))
        for (index, attempt) in waiting.values where answers[index]?.outcome == .accepted {
            var probe = probes[index]
            probe.kind = .established
            held[probe] = attempt.socket
        }
        return answers.map { $0 ?? AgentAnswer(outcome: .silent) }
    }

    /// Makes all attempts, as many at once as there are descriptors available.
    private mutating func attempt(_ probes: [Probe], patience: Duration) -> [AgentAnswer] {
        let room = max(16, Self.descriptorLimit() - listeners.descriptors.count - 32)
        var answers: [AgentAnswer] = []
        while answers.count < probes.count {
            answers += attemptAtOnce(probes[answers.count...].prefix(room), patience: patience)
        }
        return answers
    }

    private mutating func attemptAtOnce(_ probes: ArraySlice<Probe>, patience: Duration) -> [AgentAnswer] {
        var answers = [AgentAnswer?](repeating: nil, count: probes.count)
        var waiting: [Int32: (index: Int, attempt: Attempt)] = [:]
        // Connection tracking would treat a repeated ping as part of a known connection.
        let first = UInt16.random(in: .min ... .max)
        for (index, probe) in probes.enumerated() {
            if probe.kind == .established, held[probe] == nil {
                answers[index] = AgentAnswer(outcome: .unsent, detail: "there was no earlier connection")
                continue
            }
            let identifier = first &+ UInt16(truncatingIfNeeded: index)
            switch Attempt.begin(probe, identifier: identifier, held: held[probe]) {
            case .over(let answer): answers[index] = answer
            case .waiting(let attempt): waiting[attempt.descriptor] = (index, attempt)
            }
            // The kernel queues only a few packets for an unresolved neighbour, so it is resolved first.
            if index == 15 { collect(&waiting, &answers, until: .now + .milliseconds(20)) }
        }
        // While answers arrive, more may follow; what is still silent `patience` after the last one counts as silent.
        var missing = waiting.count + 1
        while waiting.count < missing, !waiting.isEmpty {
            missing = waiting.count
            collect(&waiting, &answers, until: .now + patience)
        }
        return answers.map { $0 ?? AgentAnswer(outcome: .silent) }
    }

    private mutating func collect(
        _ waiting: inout [Int32: (index: Int, attempt: Attempt)], _ answers: inout [AgentAnswer?],
        until end: ContinuousClock.Instant
    ) {
        while !waiting.isEmpty, ContinuousClock.now < end {
            for descriptor in wait(for: waiting.values.map(\.attempt), until: end) {
                guard let (index, attempt) = waiting[descriptor], let answer = attempt.answer() else { continue }
                answers[index] = answer
                waiting[descriptor] = nil
            }
        }
    }

    // MARK: - Waiting

    /// Waits for an attempt, or for the input when there is none, and serves the listeners meanwhile.
    ///
    /// Returns the ready descriptors that do not belong to a listener.
    @discardableResult
    private mutating func wait(for attempts: [Attempt], until end: ContinuousClock.Instant?) -> [Int32] {
        let reading = attempts.isEmpty ? [input] : []
        while true {
            // Built again each time: a listener may have accepted a connection.
            var watched = (reading + listeners.descriptors).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            watched += attempts.map { pollfd(fd: $0.descriptor, events: $0.events, revents: 0) }
            var milliseconds: Int32 = -1
            if let end {
                milliseconds = Int32(max(0, min((end - .now) / .milliseconds(1), 60_000)).rounded(.up))
            }
            let count = poll(&watched, nfds_t(watched.count), milliseconds)
            if count == 0 { return [] }
            if count < 0 { continue }
            var ready: [Int32] = []
            for descriptor in watched.filter({ $0.revents != 0 }).map(\.fd) where !listeners.serve(descriptor) {
                ready.append(descriptor)
            }
            if !ready.isEmpty { return ready }
        }
    }

    private static func descriptorLimit() -> Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(min(limit.rlim_cur, 8192))
    }

    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

// MARK: - Lines

extension ProbeAgent {
    /// Reads the available input; false at the end of the input.
    private mutating func readMore() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = read(input, &buffer, buffer.count)
        if count > 0 { unread += buffer[..<count] }
        return count > 0 || (count < 0 && errno == EINTR)
    }

    private mutating func nextLine() -> ArraySlice<UInt8>? {
        guard let end = unread.firstIndex(of: AgentLine.end) else { return nil }
        let line = unread[..<end]
        unread.removeSubrange(...end)
        return line
    }

    private func reply(_ reply: AgentReply) -> Bool {
        guard let line = try? AgentLine.encode(reply) else { return false }
        var written = 0
        while written < line.count {
            let count = line[written...].withUnsafeBytes { write(output, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            written += count
        }
        return true
    }
}
