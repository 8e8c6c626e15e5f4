import Glibc
import Host
import Logging

/// What restarts a guard if it dies.
package enum SupervisorKind: String, Codable, Sendable, CaseIterable {
    /// A latchkey process that systemd restarts if it dies.
    case systemd
    /// A latchkey process; it and the guard restart each other.
    case process
}

/// Starts the guard of a change, and restarts it whenever it dies, until the change has ended.
///
/// It does not need to be the guard's parent: the lock shows whether a guard runs, so that a restarted supervisor can
/// take over from the last one.
package struct Supervisor: Sendable {
    private let id: String
    private let kind: SupervisorKind
    private let environment: ChangeEnvironment
    private var layout: Layout { environment.layout }

    /// How often it checks while the kernel tells it when its guard stops or ends, in milliseconds.
    ///
    /// systemd expects to hear from it every 15 s.
    private static let heartbeat: Int64 = 2_500
    /// How often it checks otherwise, and how long it waits before it restarts a guard that died at once, in
    /// milliseconds.
    private static let pause: Int64 = 200
    /// How long after the deadline a guard that has not begun to roll back counts as hung, in milliseconds.
    private static let hung: Int64 = 5_000

    /// How long a guard may take to take its lock on a busy machine, in milliseconds.
    private static let slowness: Int64 = 10_000

    /// A supervisor for a change.
    package init(_ id: String, kind: SupervisorKind, in environment: ChangeEnvironment) {
        self.id = id
        self.kind = kind
        self.environment = environment
    }

    /// Supervises until the change and its guard have ended.
    package func run() async {
        DetachedProcess.become()
        // Guards are child processes; without the events, ignoring SIGCHLD leaves no zombies.
        let children = WakeUp.onChildren()
        if children == nil { signal(SIGCHLD, SIG_IGN) }
        let manager = ServiceManager()
        manager?.tell("READY=1")
        var lock: FileLock?
        // The guard that was started last needs a moment to take its lock; a second one would be in its way.
        var started: (pid: Int32, at: BootInstant)?
        while !ServiceManager.isGoingDown {
            manager?.tell("WATCHDOG=1")
            children?.clear()
            if lock == nil { lock = try? FileLock.tryAcquire(layout.supervisorLock) }
            let isOver = Self.isOver(id, environment)
            // If another supervisor has the lock, this one waits.
            if lock != nil {
                if isGuardGone() {
                    if isOver { return }
                    if let started, isOnItsWay(started) {
                        Self.wakeIfStopped(started.pid)
                    } else if started.map({ isPast(Self.pause, since: $0.at) }) ?? true {
                        started = start().map { ($0, environment.clock.now()) }
                    }
                } else if !isOver {
                    rouse()
                }
            } else if isOver {
                return
            } else {
                // It may have been stopped, and the guard with it.
                Self.wake(layout)
            }
            if let children, lock != nil, let started, isOwned(by: started.pid) {
                _ = Poll.readable([children.descriptor], milliseconds: Self.heartbeat)
            } else {
                // The guard may not be a child of this supervisor, or this supervisor waits for another one.
                _ = Poll.readable([], milliseconds: Self.pause)
            }
        }
    }

    /// Makes sure that a supervisor runs: starts one if none holds the lock, and resumes a stopped one.
    ///
    /// - Returns: the supervisor that holds the lock; nil if none does yet.
    static func lookAfter(_ id: String, kind: SupervisorKind, in environment: ChangeEnvironment) -> Int32? {
        let path = environment.layout.supervisorLock
        guard (try? FileLock.isFree(path)) == false else {
            _ = try? DetachedProcess.start(arguments("supervise", id, kind), environment: variables(for: environment))
            return nil
        }
        let pid = FileLock.holder(path)
        if let pid { wakeIfStopped(pid) }
        return pid
    }

    /// Resumes a stopped supervisor and guard: while stopped, they hold their locks and do nothing.
    static func wake(_ layout: Layout) {
        for lock in [layout.supervisorLock, layout.lock] {
            if let pid = FileLock.holder(lock) { wakeIfStopped(pid) }
        }
    }

    /// The command line of the supervisor or guard of a change.
    static func arguments(_ role: String, _ id: String, _ kind: SupervisorKind) -> [String] {
        [role, id] + (kind == .systemd ? ["--systemd"] : [])
    }

    /// The environment variables of a guard or supervisor.
    static func variables(for environment: ChangeEnvironment) -> [String: String] {
        ["LATCHKEY_ROOT": environment.layout.root]
    }

    /// Whether the change has ended, or could not begin.
    private static func isOver(_ id: String, _ environment: ChangeEnvironment) -> Bool {
        let layout = environment.layout
        if SecureFiles.exists(layout.failure(id)) { return true }
        if SecureFiles.exists(layout.request(id)) { return false }
        // Only the guard decides about a journal that cannot be read.
        guard let journal = try? JournalFile(layout: layout).read() else {
            return !SecureFiles.exists(layout.journal)
        }
        return journal.request.id != id || journal.bootID != environment.bootID || journal.state.isFinal
    }

    /// Whether no guard runs; a lock that cannot be checked counts as free, because the lock stops a second guard, and
    /// having no guard is worse.
    private func isGuardGone() -> Bool { (try? FileLock.isFree(layout.lock)) ?? true }

    private func start() -> Int32? {
        do {
            return try DetachedProcess.start(
                Self.arguments("guard", id, kind), environment: Self.variables(for: environment))
        } catch {
            environment.log.critical("The guard cannot be started: \(error)")
            return nil
        }
    }

    /// Whether the guard that this supervisor started runs and has the lock, or is about to take it.
    private func isOwned(by pid: Int32) -> Bool {
        Self.isOurs(pid) && (isGuardGone() || FileLock.holder(layout.lock) == pid)
    }

    private func isPast(_ milliseconds: Int64, since start: BootInstant) -> Bool {
        start.milliseconds(until: environment.clock.now()) >= milliseconds
    }

    private func isOnItsWay(_ started: (pid: Int32, at: BootInstant)) -> Bool {
        Self.isOurs(started.pid) && !isPast(Self.slowness, since: started.at)
    }

    /// Resumes a stopped guard, and kills one that missed the deadline, so that another takes over.
    private func rouse() {
        guard let pid = FileLock.holder(layout.lock) else { return }
        Self.wakeIfStopped(pid)
        guard let journal = try? JournalFile(layout: layout).read(), journal.state == .applied,
            let deadline = journal.deadline,
            deadline.milliseconds(until: environment.clock.now()) > Self.hung, Self.isOurs(pid)
        else { return }
        environment.log.critical("The guard (process \(pid)) missed the deadline. Another guard takes over.")
        kill(pid, SIGKILL)
    }

    private static func wakeIfStopped(_ pid: Int32) {
        let table = ProcessTable()
        guard isOurs(pid), table.process(pid)?.state == "T" else { return }
        kill(pid, SIGCONT)
        // A child that has not executed its tool yet was stopped too, and the guard waits for it.
        for child in table.all() where child.parent == pid && child.state == "T" && isOurs(child.pid) {
            kill(child.pid, SIGCONT)
        }
    }

    /// Whether a process runs this binary: its process ID may belong to another program by now.
    private static func isOurs(_ pid: Int32) -> Bool {
        let table = ProcessTable()
        guard let own = table.executable(of: OwnProcess.pid) else { return false }
        return table.executable(of: pid) == own
    }
}
