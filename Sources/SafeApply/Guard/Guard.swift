import Host
import Logging
import Netfilter

/// The process that owns a change from the snapshot to its end, and alone decides between kept and reverted.
///
/// Requests, the deadline and heartbeats meet in one queue: the loop in `serve`. Nothing here depends on a terminal, on
/// the program that requested the change, or on a write that fails when nobody reads.
package struct Guard {
    let environment: ChangeEnvironment
    private let lock: FileLock
    let file: JournalFile
    var journal: Journal
    var backend: any RuleBackend
    var gatekeeper: Gatekeeper
    var snapshot: Snapshot?
    var inbox: Inbox
    /// Whether the journal's file says how the change ended, once it has.
    var isOnRecord = true
    /// When it checks for new logins.
    var logins: LoginWatch
    /// When it checks its supervisor.
    private var supervisor = SupervisorWatch()
    /// The removal of the trial, after the gates are closed.
    var leftover: Task<Void, any Error>?

    /// How long after `ready` a guard waits for the request to begin, in milliseconds.
    private static let beginTimeout: Int64 = 15_000
    /// How often it tries to record how the change ended, in milliseconds.
    private static let retryInterval: Int64 = 100
    /// How long it waits for an event at most, in milliseconds: each turn of the gatekeeper is one.
    private static let maxPause = 2 * Gatekeeper.interval

    // MARK: - Beginning

    /// Begins a change, or takes it over from a guard that died.
    ///
    /// - Returns: nil if the change has already ended.
    /// - Throws: `pending` if another change is pending; any other error that keeps this one from beginning.
    package static func own(
        _ id: String, supervisor: SupervisorKind, in environment: ChangeEnvironment
    ) async throws(ChangeError) -> Guard? {
        let lock = try await acquire(id, in: environment)
        let file = JournalFile(layout: environment.layout)
        if let journal = try readable(id, file, in: environment), journal.bootID == environment.bootID {
            if journal.request.id == id {
                return journal.state.isFinal ? nil : try await takeOver(journal, lock, file, in: environment)
            }
            // A change whose guard died has not ended: another guard takes it over.
            guard journal.state.isFinal else { throw .pending(id: journal.request.id, secondsLeft: nil) }
        }
        return try await begin(id, supervisor, lock, file, in: environment)
    }

    private static func begin(
        _ id: String, _ supervisor: SupervisorKind, _ lock: FileLock, _ file: JournalFile,
        in environment: ChangeEnvironment
    ) async throws(ChangeError) -> Guard {
        let path = environment.layout.request(id)
        let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(path) }
        guard let request = JSONText.decode(ChangeRequest.self, from: bytes), request.id == id else {
            throw .damaged(path: path, reason: "it is not a request from this version of latchkey")
        }
        // Nothing is added that another backend's rules could be mixed up with.
        if request.scope != .removal {
            try await OtherBackend.refuse(
                besides: request.backend, taking: request.taking, retiring: request.retirement, in: environment)
        }
        let backend = try await RuleBackends.new(request, in: environment)
        try await backend.requireWayBack()
        let snapshot = try backend.snapshot()
        try await SnapshotStore(environment).write(snapshot)
        do {
            try ChangeError.wrap { () throws(HostError) in
                let kept = Array(JSONText.encode(request).utf8)
                try SecureFiles.write(kept, to: environment.layout.keptRequest(id))
            }
        } catch {
            try? SnapshotStore(environment).remove(id)
            throw error
        }
        let journal = Journal(request: request, bootID: environment.bootID, supervisor: supervisor)
        let inbox = try Inbox(environment.layout)
        // The journal comes last: if the disk is full, no change seems to be pending.
        try file.write(journal)
        try ChangeError.wrap { () throws(HostError) in try SecureFiles.remove(path) }
        History(environment).began(journal)
        return Guard(
            environment: environment, lock: lock, file: file, journal: journal, backend: backend,
            snapshot: snapshot, inbox: inbox)
    }

    /// The journal; if it is damaged, one that assumes that the change is active, completely or in part.
    private static func readable(
        _ id: String, _ file: JournalFile, in environment: ChangeEnvironment
    ) throws(ChangeError) -> Journal? {
        do { return try file.read() } catch {
            let path = environment.layout.keptRequest(id)
            guard let bytes = try? SecureFiles.readTrusted(path),
                let request = JSONText.decode(ChangeRequest.self, from: bytes)
            else { throw error }
            environment.log.critical("\(error) Rolling back the change \(id).")
            var journal = Journal(request: request, bootID: environment.bootID, supervisor: .process)
            journal.state = .armed
            journal.isHalfKept = true
            return journal
        }
    }

    private static func takeOver(
        _ journal: Journal, _ lock: FileLock, _ file: JournalFile, in environment: ChangeEnvironment
    ) async throws(ChangeError) -> Guard {
        // The previous guard may have died after it wrote the journal and before it removed the request.
        try? SecureFiles.remove(environment.layout.request(journal.request.id))
        var snapshot: Snapshot?
        do { snapshot = try await SnapshotStore(environment).read(journal.request.id) } catch {
            // The copy in memory is lost with the previous guard. The emergency opening is still possible.
            environment.log.critical("\(error)")
        }
        return Guard(
            environment: environment, lock: lock, file: file, journal: journal,
            backend: try await RuleBackends.carryingOn(
                journal.request, snapshot: snapshot,
                // The journal names the kind of gates once they are open; until then they count as open.
                gateKind: journal.gate ?? .none, in: environment),
            snapshot: snapshot, inbox: try Inbox(environment.layout))
    }

    private init(
        environment: ChangeEnvironment, lock: FileLock, file: JournalFile, journal: Journal,
        backend: any RuleBackend, snapshot: Snapshot?, inbox: Inbox
    ) {
        self.environment = environment
        self.lock = lock
        self.file = file
        self.journal = journal
        self.backend = backend
        gatekeeper = Gatekeeper(backend.gates, clock: environment.clock)
        self.snapshot = snapshot
        self.inbox = inbox
        logins = LoginWatch(environment.witness)
    }

    /// Takes the lock.
    ///
    /// A guard whose change has ended holds it a moment longer, while it reports the outcome.
    private static func acquire(_ id: String, in environment: ChangeEnvironment) async throws(ChangeError) -> FileLock {
        let layout = environment.layout
        for _ in 1...240 {
            let lock = try ChangeError.wrap { () throws(HostError) in
                try SecureFiles.makeFolder(layout.run)
                return try FileLock.tryAcquire(layout.lock)
            }
            if let lock { return lock }
            if let journal = try JournalFile(layout: layout).read(), !journal.state.isFinal, journal.request.id != id {
                throw .pending(id: journal.request.id, secondsLeft: nil)
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
        throw .pending(id: nil, secondsLeft: nil)
    }

    // MARK: - The queue

    /// Serves the change to its end.
    package mutating func serve() async {
        let start = now
        await resume()
        while !journal.state.isFinal || !isOnRecord {
            if ServiceManager.isGoingDown { return }
            switch journal.state {
            case .prepared:
                if start.advanced(milliseconds: Self.beginTimeout) <= now {
                    await end(
                        .reverted, "The guard received no request to begin. Nothing was applied.", verified: true)
                    continue
                }
            case .applied:
                if isPastDeadline {
                    await revert(.deadline, Self.notConfirmed)
                    continue
                }
                gatekeeper.turns.clear()
                gatekeeper.beat()
                await watchGates()
                noteFreshLogin()
                supervisor.look(journal.request.id, kind: journal.supervisor, in: environment)
            case .persisted, .reverted, .failed:
                // If the guard ended now, the journal would make the next guard repeat all of it, whatever has changed
                // since then.
                for message in inbox.takeHeld() { reply(message, .done, journal.reason) }
                isOnRecord = recordAnew()
                if isOnRecord { continue }
            case .armed, .kept, .reverting:
                break
            }
            await answer(inbox.next(milliseconds: pause(since: start), or: events))
        }
        await drain()
    }

    /// Continues from the state that the guard found in the journal.
    private mutating func resume() async {
        switch journal.state {
        case .prepared, .persisted, .reverted, .failed: break
        case .armed: await revert(.trouble, "The guard was interrupted while it applied the new rules.")
        case .applied: await resumeTrial()
        case .kept:
            // The trial stays active until the rules are permanent.
            try? gatekeeper.open(until: nil)
            await keep()
        case .reverting: await revert(journal.cause ?? .trouble, journal.reason)
        }
    }

    /// How long the queue may wait for an event, in milliseconds.
    private func pause(since start: BootInstant) -> Int64 {
        let now = now
        func left(until end: BootInstant) -> Int64 { max(0, now.milliseconds(until: end)) }
        switch journal.state {
        case .prepared:
            return min(left(until: start.advanced(milliseconds: Self.beginTimeout)), Self.maxPause)
        case .applied:
            var pauses = [Self.maxPause, supervisor.pause(now) ?? Self.maxPause]
            if let deadline = journal.deadline { pauses.append(left(until: deadline)) }
            if journal.freshLogin == nil {
                // While an earlier connection waits for sshd, the kernel cannot tell when it is accepted.
                pauses.append(journal.freshSince == nil ? Self.retryInterval : logins.pause(now) ?? Self.maxPause)
            }
            return pauses.min() ?? Self.retryInterval
        case .armed, .kept, .reverting, .persisted, .reverted, .failed: return Self.retryInterval
        }
    }

    /// What ends the queue's wait besides a request.
    private var events: [Int32] {
        guard journal.state == .applied else { return [] }
        // Only what the queue also looks at: otherwise it would never wait again.
        let login = journal.freshLogin == nil && journal.freshSince != nil ? logins.descriptor : nil
        return [gatekeeper.turns.descriptor] + [supervisor.descriptor, login].compactMap(\.self)
    }

    mutating func answer(_ messages: [Inbox.Message]) async {
        for message in messages {
            // The deadline comes first, however many requests have queued up ahead of it.
            if journal.state == .applied, isPastDeadline { await revert(.deadline, Self.notConfirmed) }
            switch message.request.verb {
            case .status:
                reply(message, .done, "")
            case .begin:
                guard journal.state == .prepared else {
                    reply(message, .refused, "This change has already begun.")
                    continue
                }
                await apply()
                reply(message, journal.state == .applied ? .done : .refused, journal.reason)
            case .wait:
                if journal.state.isFinal { reply(message, .done, journal.reason) } else { inbox.hold(message) }
            case .confirm:
                await confirm(message)
            case .revert:
                guard journal.state == .applied else {
                    reply(message, .tooLate, journal.reason)
                    continue
                }
                await revert(.request, "A rollback was requested.")
                reply(message, .done, journal.reason)
            case .extend:
                extend(message)
            }
        }
    }

    func reply(_ message: Inbox.Message, _ answer: GuardReply.Answer, _ text: String) {
        message.send(GuardReply(answer: answer, text: text, status: status))
    }

    static let notConfirmed = "Nobody confirmed the new rules in time."

    /// Whether the gatekeeper has closed the gates, or is about to.
    private var isPastDeadline: Bool {
        gatekeeper.phase == .closed || (journal.deadline.map { $0 <= now } ?? true)
    }

    private var status: ChangeStatus { ChangeStatus(journal, now: now, guardPID: OwnProcess.pid) }

    var now: BootInstant { environment.clock.now() }

    /// Answers all waiting clients, and those that send a request a moment too late.
    private mutating func drain() async {
        for message in inbox.takeHeld() { reply(message, .done, journal.reason) }
        let end = now.advanced(milliseconds: 300)
        while now < end { await answer(inbox.next(milliseconds: max(1, now.milliseconds(until: end)))) }
        inbox.close()
        await removeLeftover()
    }
}
