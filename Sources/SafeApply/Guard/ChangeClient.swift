import Host
import Logging

/// The guard's client: starts guards, sends them requests, waits for the outcome.
///
/// It may die at any time; nothing depends on it.
package struct ChangeClient: Sendable {
    private let environment: ChangeEnvironment
    private let notice: @Sendable (String) -> Void
    private var layout: Layout { environment.layout }
    private var now: BootInstant { environment.clock.now() }

    /// How long a guard may take until it is ready, and until the rules are active, in milliseconds.
    private static let startTime: Int64 = 60_000
    private static let applyTime: Int64 = 120_000
    /// How long a status request may take, in milliseconds: a busy guard answers once it is done.
    private static let answerTime: Int64 = 10_000
    /// How often the client tries again when the state of a change cannot be read.
    private static let maxAttempts = 100
    /// How long a change may take to end after the request, in milliseconds; tools may fail, and be slow.
    private static let endTime: Int64 = 240_000

    /// A client on a machine.
    ///
    /// - Parameters:
    ///   - environment: the machine.
    ///   - notice: shows a person what was found and repaired.
    package init(_ environment: ChangeEnvironment, notice: @escaping @Sendable (String) -> Void = { _ in }) {
        self.environment = environment
        self.notice = notice
    }

    // MARK: - A new change

    /// Starts a guard and, once it has answered, makes it apply the rules.
    ///
    /// - Parameters:
    ///   - request: the change.
    ///   - progress: called ten times a second while the rules are being applied; its output makes the kernel track the
    ///     SSH connection.
    /// - Returns: the pending change; or, if applying failed, the change that has ended.
    /// - Throws: `pending`, `refusedByGuard`, `noGuard`, `host`; nothing was changed then.
    package func begin(
        _ request: ChangeRequest, progress: @Sendable () -> Void
    ) async throws(ChangeError) -> ChangeStatus {
        // One at a time: two that begin in the same second have the same ID, and would share a guard.
        let turn = try await takeTurn()
        defer { withExtendedLifetime(turn) {} }
        try await requireNothingPending()
        let path = layout.request(request.id)
        try ChangeError.wrap { () throws(HostError) in
            try SecureFiles.makeFolder(layout.run)
            // No guard could ever take a lock that is not a plain file.
            for lock in [layout.lock, layout.supervisorLock] { try SecureFiles.requirePlainFileIfAny(lock) }
            try SecureFiles.write(Array(JSONText.encode(request).utf8), to: path)
        }
        do { try await start(request.id) } catch {
            try? SecureFiles.remove(path)
            throw error
        }
        guard let connection = try connect() else { throw .noGuard(reason: "it does not accept requests.") }
        guard
            let reply = ask(
                GuardRequest(.begin), over: connection, milliseconds: Self.applyTime, progress: progress)
        else {
            return try await settled(request.id, by: now.advanced(milliseconds: Self.endTime)) {
                $0.isFinal || $0 == .applied
            }
        }
        return reply.status
    }

    /// Fails early, before a rehearsal, if no change can begin now.
    ///
    /// - Throws: `pending`, `host`, `damaged`.
    package func requireNothingPending() async throws(ChangeError) {
        if let status = try await current(), !status.state.isFinal {
            throw .pending(id: status.id, secondsLeft: status.secondsLeft)
        }
    }

    /// Takes the lock under which a change begins; it is held as long as the result exists.
    ///
    /// - Throws: `pending` if another process holds it for a minute; `host`.
    package func takeTurn() async throws(ChangeError) -> FileLock {
        try ChangeError.wrap { () throws(HostError) in try SecureFiles.makeFolder(layout.run) }
        let end = now.advanced(milliseconds: Self.startTime)
        while now < end {
            let lock = try ChangeError.wrap { () throws(HostError) in try FileLock.tryAcquire(layout.beginLock) }
            if let lock { return lock }
            try? await Task.sleep(for: .milliseconds(50))
        }
        throw .pending(id: nil, secondsLeft: nil)
    }

    /// Waits until the pending change has ended.
    ///
    /// A guard that dies meanwhile is started again.
    ///
    /// - Throws: `undecided` when its guard dies again and again.
    package func wait() async throws(ChangeError) -> ChangeStatus {
        var attempts = Self.maxAttempts
        while true {
            if let connection = try connect(),
                let reply = ask(GuardRequest(.wait), over: connection, milliseconds: nil),
                reply.status.state.isFinal
            {
                return reply.status
            }
            let status: ChangeStatus?
            do { status = try await current() } catch {
                // A guard that starts repairs a damaged journal; until then the state is unknown.
                guard attempts > 1 else { throw error }
                status = nil
            }
            if let status, status.state.isFinal { return status }
            attempts -= 1
            guard attempts > 0 else { throw .undecided(id: status?.id ?? "", state: status?.state) }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Waits until a change has reached one of some states, however busy its guard is.
    ///
    /// - Throws: `undecided` when that takes too long.
    private func settled(
        _ id: String, by end: BootInstant, _ isSettled: (JournalState) -> Bool
    ) async throws(ChangeError) -> ChangeStatus {
        // A guard that starts repairs a damaged journal; until then the state is unknown.
        var attempts = Self.maxAttempts
        while true {
            let status: ChangeStatus?
            do { status = try await current() } catch {
                attempts -= 1
                guard attempts > 0, now < end else { throw error }
                try? await Task.sleep(for: .milliseconds(200))
                continue
            }
            guard let status, status.id == id else { throw .undecided(id: id, state: nil) }
            if isSettled(status.state) { return status }
            guard now < end else { throw .undecided(id: id, state: status.state) }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    // MARK: - The pending change

    /// Keeps the pending change.
    ///
    /// - Parameter sameConnection: keep it even over a connection that is older than the change.
    /// - Returns: the change, kept.
    /// - Throws: `notFresh`, `nothingPending`, `refused`.
    package func confirm(sameConnection: Bool) async throws(ChangeError) -> ChangeStatus {
        try await decide(GuardRequest(.confirm, sameConnection: sameConnection))
    }

    /// Rolls back to the previous rules now.
    ///
    /// - Throws: `nothingPending`, `refused`.
    package func revert() async throws(ChangeError) -> ChangeStatus {
        try await decide(GuardRequest(.revert))
    }

    /// Gives the pending change more time.
    ///
    /// - Parameter seconds: from now; nil for as many as the first deadline. The deadline never moves to an earlier time,
    ///   or past one hour after the change began.
    /// - Returns: the change, with its new deadline.
    /// - Throws: `nothingPending`, `refused`.
    package func extend(seconds: Int?) async throws(ChangeError) -> ChangeStatus {
        try await decide(GuardRequest(.extend, seconds: seconds))
    }

    /// The status of the pending change, or of the last one since boot; nil if there was none.
    ///
    /// A guard that died is restarted first, so that a pending change always has one. If a guard is too busy to answer,
    /// the status comes from its journal.
    ///
    /// - Throws: `host`, `damaged`.
    package func current() async throws(ChangeError) -> ChangeStatus? {
        Supervisor.wake(layout)
        let connection = try connect()
        if let reply = connection.flatMap({ ask(GuardRequest(.status), over: $0, milliseconds: Self.answerTime) }) {
            return reply.status
        }
        guard let journal = try await rightedJournal() else { return nil }
        let isUnsupervised = try isUnsupervised()
        if !journal.state.isFinal, connection == nil || isUnsupervised {
            try? await resume(journal.request.id)
            if let reply = try exchange(GuardRequest(.status), milliseconds: Self.answerTime) { return reply.status }
        }
        return try self.journal().map { ChangeStatus($0, now: now, guardPID: nil) }
    }

    /// Whether all rules of the pending change are loaded and unchanged; true if none is pending.
    ///
    /// - Throws: `unreadable` if the rules cannot be read; `host`, `damaged`.
    package func isTrialWhole() async throws(ChangeError) -> Bool {
        guard let journal = try journal(), journal.state == .applied, let gate = journal.gate else { return true }
        let snapshot = try await SnapshotStore(environment).read(journal.request.id)
        return try await RuleBackends.carryingOn(
            journal.request, snapshot: snapshot, gateKind: gate, in: environment
        ).isTrialWhole()
    }

    // MARK: - Requests

    private func decide(_ request: GuardRequest) async throws(ChangeError) -> ChangeStatus {
        let end = now.advanced(milliseconds: Self.endTime)
        var isAskedAgain = false
        while true {
            guard let status = try await current() else {
                throw .nothingPending(last: nil, reason: "Nothing is pending: no change was made since boot.")
            }
            if status.state.isFinal {
                // The guard may have carried the request out and died before it could say so.
                if isAskedAgain, Self.isCarriedOut(request, status) { return status }
                throw Self.over(status)
            }
            if let reply = try exchange(request, milliseconds: now.milliseconds(until: end)) {
                switch reply.answer {
                case .done: return reply.status
                case .notFresh: throw .notFresh(id: reply.status.id, reason: reply.text)
                case .tooLate: throw Self.over(reply.status)
                case .refused: throw .refused(reason: reply.text)
                }
            }
            // The guard died with the request, or is too busy to take it. Its successor is asked the same.
            guard now < end else { throw .undecided(id: status.id, state: status.state) }
            isAskedAgain = true
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    private static func isCarriedOut(_ request: GuardRequest, _ status: ChangeStatus) -> Bool {
        switch request.verb {
        case .confirm: status.outcome == .kept
        case .revert: status.outcome == .reverted && status.cause == .request
        case .begin, .status, .wait, .extend: false
        }
    }

    private static func over(_ status: ChangeStatus) -> ChangeError {
        let what: String
        switch status.state {
        case .persisted: what = "the change \(status.id) was already kept"
        case .failed: what = "the change \(status.id) failed"
        case .reverted: what = "the change \(status.id) was already rolled back"
        case .prepared, .armed, .applied, .kept, .reverting:
            return .undecided(id: status.id, state: status.state)
        }
        return .nothingPending(
            last: status.id, reason: "Nothing is pending: \(what). Reason: \(status.words)")
    }

    private func journal() throws(ChangeError) -> Journal? {
        // A journal of an earlier boot describes rules that no longer exist.
        guard let journal = try JournalFile(layout: layout).read(), journal.bootID == environment.bootID else {
            return nil
        }
        return journal
    }

    /// The journal; a damaged one that no guard or supervisor is about to repair is repaired or set aside first.
    private func rightedJournal() async throws(ChangeError) -> Journal? {
        do { return try journal() } catch .damaged(let path, let reason) {
            let damage = ChangeError.damaged(path: path, reason: reason)
            let isGuarded = try ChangeError.wrap { () throws(HostError) in try !FileLock.isFree(layout.lock) }
            let isUnsupervised = try isUnsupervised()
            guard !isGuarded, isUnsupervised else { throw damage }
            if let id = try unfinished() {
                try await start(id)
                return try journal()
            }
            try ChangeError.wrap { () throws(HostError) in try SecureFiles.move(path, to: "\(path).damaged") }
            notice("\(damage) Nothing is pending; the file was renamed to \(path).damaged.")
            return nil
        }
    }

    /// The change of this boot that may still be active and unconfirmed, found without the journal.
    private func unfinished() throws(ChangeError) -> String? {
        let store = SnapshotStore(environment)
        let ended = Set(try History(environment).entries().filter { $0.ended != nil }.map(\.began.change))
        return try store.list().last { id in
            SecureFiles.exists(layout.keptRequest(id)) && !ended.contains(id)
                && (try? store.readMeta(id))?.bootID == environment.bootID
        }
    }

    private func connect() throws(ChangeError) -> UnixConnection? {
        try ChangeError.wrap { () throws(HostError) in try UnixSocket.connect(layout.socket) }
    }

    private func exchange(_ request: GuardRequest, milliseconds: Int64) throws(ChangeError) -> GuardReply? {
        guard let connection = try connect() else { return nil }
        // A guard or supervisor that was stopped in the meantime would keep the answer.
        return ask(request, over: connection, milliseconds: milliseconds) { [layout] in Supervisor.wake(layout) }
    }

    private func ask(
        _ request: GuardRequest, over connection: UnixConnection, milliseconds: Int64?,
        progress: @Sendable () -> Void = {}
    ) -> GuardReply? {
        connection.send(JSONText.encode(request))
        let end = milliseconds.map { now.advanced(milliseconds: $0) }
        while true {
            let left = end.map { now.milliseconds(until: $0) }
            if let left, left <= 0 { return nil }
            let step = min(left ?? 100, 100)
            switch UnixSocket.receive(connection, milliseconds: step) {
            case .line(let line): return JSONText.decode(GuardReply.self, from: Array(line.utf8))
            case .closed: return nil
            case .notYet: progress()
            }
        }
    }

    /// Makes sure that a change has a guard again, and waits until it answers.
    ///
    /// A running supervisor starts the guard; a second supervisor would only wait.
    private func resume(_ id: String) async throws(ChangeError) {
        if try isUnsupervised() { try await start(id) } else { try await awaitGuard(id) }
    }

    private func isUnsupervised() throws(ChangeError) -> Bool {
        try ChangeError.wrap { () throws(HostError) in try FileLock.isFree(layout.supervisorLock) }
    }

    /// Starts the supervisor of a change and waits until its guard answers.
    ///
    /// - Throws: `refusedByGuard` and `noGuard`.
    private func start(_ id: String) async throws(ChangeError) {
        if await !startService(id) {
            let arguments = Supervisor.arguments("supervise", id, .process)
            _ = try ChangeError.wrap { () throws(HostError) in
                try DetachedProcess.start(arguments, environment: Supervisor.variables(for: environment))
            }
        }
        try await awaitGuard(id)
    }

    private func awaitGuard(_ id: String) async throws(ChangeError) {
        let failure = layout.failure(id)
        let request = layout.request(id)
        let end = now.advanced(milliseconds: Self.startTime)
        while now < end {
            if let connection = try connect(),
                let reply = ask(GuardRequest(.status), over: connection, milliseconds: Self.answerTime),
                reply.status.id == id
            {
                return
            }
            if SecureFiles.exists(failure) {
                let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(failure) }
                try? SecureFiles.remove(failure)
                guard let failure = JSONText.decode(GuardFailure.self, from: bytes) else { break }
                throw .refusedByGuard(failure)
            }
            // In this order: a guard writes the journal first, then removes the request.
            let isTaken = !SecureFiles.exists(request)
            let known: JournalState?
            do { known = try journal().flatMap { $0.request.id == id ? $0.state : nil } } catch .damaged {
                // The guard that starts repairs it.
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            // The guard took over and has ended already; the journal has the outcome.
            if let known, known.isFinal { return }
            if known == nil, isTaken, !SecureFiles.exists(failure) {
                throw .noGuard(reason: "it failed and could not write the reason. Check whether \(layout.run) is full.")
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
        throw .noGuard(reason: "it did not answer in time.")
    }

    /// Makes systemd start the supervisor, so that it survives the logout, and restart it whenever it dies.
    ///
    /// - Returns: false if that is not possible.
    private func startService(_ id: String) async -> Bool {
        guard ServiceManager.reachesThisPlace, let tool = environment.toolbox.find("systemd-run"),
            let binary = ProcessTable().executable(of: OwnProcess.pid)
        else { return false }
        let settings = [
            "Type=notify", "NotifyAccess=main", "Restart=on-failure", "RestartSec=200ms", "StartLimitIntervalSec=0",
            "WatchdogSec=15", "KillMode=process", "TimeoutStopSec=3", "OOMScoreAdjust=-1000",
        ]
        let words =
            ["--quiet", "--collect", "--unit=latchkey-\(id)", "--description=latchkey: guard of the change \(id)"]
            + settings.map { "--property=\($0)" }
            + Supervisor.variables(for: environment).map { "--setenv=\($0)=\($1)" }
            + ["--", binary] + Supervisor.arguments("supervise", id, .systemd)
        let result = try? await environment.runner.run(Command(tool, words))
        if result?.status != 0 {
            environment.log.warning("systemd did not start the guard: \(result?.message ?? "no answer")")
        }
        return result?.status == 0
    }
}
