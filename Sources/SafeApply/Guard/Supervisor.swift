import Glibc
import Host
import Logging

/// What starts a guard again when it dies.
package enum SupervisorKind: String, Codable, Sendable, CaseIterable {
    /// A process of latchkey's that systemd starts again in its turn.
    case systemd
    /// A process of latchkey's; it and the guard start each other again.
    case process
}

/// Starts the guard of a change, and again whenever it has died, until the change has ended.
///
/// It is no parent: whether a guard lives is told by the lock that a guard holds, so that a supervisor that was
/// itself started again takes up where the last one left.
package struct Supervisor: Sendable {
    private let id: String
    private let kind: SupervisorKind
    private let environment: ChangeEnvironment
    private var layout: Layout { environment.layout }

    /// How often it looks, in milliseconds.
    private static let pause = 200
    /// How long after the deadline a guard that has not begun to revert is taken for hung, in milliseconds.
    private static let hung: Int64 = 5_000

    /// How long a guard may take to take its lock on a busy machine, in milliseconds.
    private static let slowness: Int64 = 10_000

    /// A supervisor for a change.
    package init(_ id: String, kind: SupervisorKind, in environment: ChangeEnvironment) {
        self.id = id
        self.kind = kind
        self.environment = environment
    }

    /// Supervises until the change has ended and its guard is gone.
    package func run() async {
        DetachedProcess.become()
        // Guards are children here; nobody waits for them.
        signal(SIGCHLD, SIG_IGN)
        let manager = ServiceManager()
        manager?.tell("READY=1")
        var lock: FileLock?
        // The guard that was started last takes a moment to take its lock; another would only be in its way.
        var started: (pid: Int32, at: BootInstant)?
        while !ServiceManager.isGoingDown {
            manager?.tell("WATCHDOG=1")
            if lock == nil { lock = try? FileLock.tryAcquire(layout.supervisorLock) }
            let isOver = Self.isOver(id, environment)
            // Another supervisor at work: this one stands by.
            if lock != nil {
                if isGuardGone() {
                    if isOver { return }
                    if let started, isOnItsWay(started) {
                        Self.wakeIfStopped(started.pid)
                    } else {
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
            try? await Task.sleep(for: .milliseconds(Self.pause))
        }
    }

    /// Sees to it that a guard's supervisor lives: starts another where none holds the lock, wakes a stopped one.
    static func lookAfter(_ id: String, kind: SupervisorKind, in environment: ChangeEnvironment) {
        let path = environment.layout.supervisorLock
        if (try? FileLock.isFree(path)) ?? true {
            _ = try? DetachedProcess.start(arguments("supervise", id, kind), environment: variables(for: environment))
        } else if let pid = FileLock.holder(path) {
            wakeIfStopped(pid)
        }
    }

    /// Has a supervisor and a guard that were stopped go on: stopped, they keep their locks and do nothing.
    static func wake(_ layout: Layout) {
        for lock in [layout.supervisorLock, layout.lock] {
            if let pid = FileLock.holder(lock) { wakeIfStopped(pid) }
        }
    }

    /// The command line of the supervisor or guard of a change.
    static func arguments(_ role: String, _ id: String, _ kind: SupervisorKind) -> [String] {
        [role, id] + (kind == .systemd ? ["--systemd"] : [])
    }

    /// All that a guard or supervisor needs of the environment.
    static func variables(for environment: ChangeEnvironment) -> [String: String] {
        ["LATCHKEY_ROOT": environment.layout.root]
    }

    /// Whether the change has ended, or could not begin.
    private static func isOver(_ id: String, _ environment: ChangeEnvironment) -> Bool {
        let layout = environment.layout
        if SecureFiles.exists(layout.failure(id)) { return true }
        if SecureFiles.exists(layout.request(id)) { return false }
        // A journal that cannot be read is for the guard to judge.
        guard let journal = try? JournalFile(layout: layout).read() else {
            return !SecureFiles.exists(layout.journal)
        }
        return journal.request.id != id || journal.bootID != environment.bootID || journal.state.isFinal
    }

    /// A lock that cannot be looked at counts as free: a guard too many is turned away by it, none at all is worse.
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

    private func isOnItsWay(_ started: (pid: Int32, at: BootInstant)) -> Bool {
        Self.isOurs(started.pid) && started.at.milliseconds(until: environment.clock.now()) < Self.slowness
    }

    /// Has a guard that was stopped go on, and ends one that let the deadline pass: another carries on.
    private func rouse() {
        guard let pid = FileLock.holder(layout.lock) else { return }
        Self.wakeIfStopped(pid)
        guard let journal = try? JournalFile(layout: layout).read(), journal.state == .applied,
            let deadline = journal.deadline,
            deadline.milliseconds(until: environment.clock.now()) > Self.hung, Self.isOurs(pid)
        else { return }
        environment.log.critical("The guard (process \(pid)) let the deadline pass; another carries on.")
        kill(pid, SIGKILL)
    }

    private static func wakeIfStopped(_ pid: Int32) {
        let table = ProcessTable()
        guard isOurs(pid), table.process(pid)?.state == "T" else { return }
        kill(pid, SIGCONT)
        // So was a child that had not yet become the tool it is to run: whoever starts it waits for it.
        for child in table.all() where child.parent == pid && child.state == "T" && isOurs(child.pid) {
            kill(child.pid, SIGCONT)
        }
    }

    /// Whether a process runs this same binary: the number may have gone to another program meanwhile.
    private static func isOurs(_ pid: Int32) -> Bool {
        let table = ProcessTable()
        guard let own = table.executable(of: OwnProcess.pid) else { return false }
        return table.executable(of: pid) == own
    }
}
