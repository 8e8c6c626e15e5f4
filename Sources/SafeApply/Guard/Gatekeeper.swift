import Glibc
import Host
import Synchronization

/// Keeps the gates open until the deadline, and closes them then, in a thread of its own.
///
/// Only this type decides whether the deadline or a confirmation came first. No other part of the guard can delay the
/// closing. If the guard's queue does not answer, the gates are not renewed and close by themselves.
final class Gatekeeper: Sendable {
    /// The state of the gates.
    enum Phase: Equatable {
        /// Nothing is open yet.
        case idle
        /// The trial decides, until the deadline.
        case open(until: BootInstant)
        /// Confirmed: the trial decides until the rules are permanent.
        case keeping
        /// The previous rules decide.
        case closed
    }

    /// What the guard should know.
    enum Notice: Equatable {
        /// The gates were closed for a while, because no renewal came.
        case lapsed
        /// A gate is gone: somebody removed its rule.
        case gone(String)
    }

    private struct State {
        var phase = Phase.idle
        var renewed: BootInstant?
        /// Before this moment it does not renew.
        var earliest: BootInstant
        var beat: BootInstant
        var notice: Notice?
        var isEnded = false
    }

    private let control: any GateControl
    private let clock: BootClock
    private let state: Mutex<State>
    /// Wakes up the guard's queue after each turn of the thread: a renewal is to be recorded, or the deadline has come.
    let turns = WakeUp()

    /// How often it renews, in milliseconds.
    static let interval: Int64 = 2_500
    /// How often it checks whether a hung queue answers again, in milliseconds.
    private static let hungInterval: Int64 = 100
    /// After how long a queue that has not answered counts as hung, in milliseconds.
    static let hung: Int64 = 8_000
    /// How long a guard that was started again has to live before it renews: one that is killed again and again at once
    /// must not keep the gates open.
    static let probation: Int64 = 1_000

    init(_ control: any GateControl, clock: BootClock) {
        self.control = control
        self.clock = clock
        let now = clock.now()
        state = Mutex(State(earliest: now, beat: now))
    }

    // MARK: - The guard's side

    /// Opens the gates until a deadline, and begins to renew them.
    ///
    /// - Parameter deadline: when they close; nil while a confirmed change is carried on.
    /// - Throws: `host` when they cannot be opened.
    func open(until deadline: BootInstant?) throws(ChangeError) {
        let now = clock.now()
        do { try control.renew() } catch { throw .host(error) }
        state.withLock { state in
            state.phase = deadline.map { .open(until: $0) } ?? .keeping
            state.renewed = now
            state.beat = now
        }
        start()
    }

    /// Goes on renewing gates that a guard before this one opened, once this one has lived for a while.
    ///
    /// - Parameters:
    ///   - deadline: when they close.
    ///   - renewed: when they were renewed last.
    func resume(until deadline: BootInstant, renewed: BootInstant) {
        let now = clock.now()
        state.withLock { state in
            state.phase = .open(until: deadline)
            state.renewed = renewed
            state.earliest = now.advanced(milliseconds: Self.probation)
            state.beat = now
        }
        start()
    }

    /// Opens the gates of a trial that was loaded again.
    ///
    /// - Throws: `host` when they cannot be opened.
    func reopen() throws(ChangeError) {
        let now = clock.now()
        let result = state.withLock { state -> Result<Void, HostError> in
            guard state.phase != .closed, state.phase != .idle else { return .success(()) }
            do throws(HostError) {
                try control.renew()
                state.renewed = now
                state.notice = nil
                return .success(())
            } catch { return .failure(error) }
        }
        try ChangeError.wrap { () throws(HostError) in try result.get() }
    }

    /// Says that the guard's queue is alive.
    func beat() {
        let now = clock.now()
        state.withLock { $0.beat = now }
    }

    /// The present phase.
    var phase: Phase { state.withLock { $0.phase } }

    /// When the gates were renewed last.
    var renewed: BootInstant? { state.withLock { $0.renewed } }

    /// What happened since the last call, if anything did.
    func takeNotice() -> Notice? {
        state.withLock { state in
            defer { state.notice = nil }
            return state.notice
        }
    }

    /// Puts the deadline off.
    ///
    /// - Returns: whether the trial was still open.
    func extend(until deadline: BootInstant) -> Bool {
        let now = clock.now()
        return state.withLock { state in
            guard case .open(let end) = state.phase, now < end else { return false }
            state.phase = .open(until: deadline)
            return true
        }
    }

    /// Takes the deadline away, because the change is confirmed.
    ///
    /// - Returns: whether that came first; the deadline did otherwise.
    func confirm() -> Bool {
        let now = clock.now()
        return state.withLock { state in
            if state.phase == .keeping { return true }
            guard case .open(let end) = state.phase, now < end else { return false }
            state.phase = .keeping
            state.beat = now
            return true
        }
    }

    /// Closes the gates now.
    ///
    /// - Returns: whether the kernel shows them closed.
    @discardableResult
    func close() -> Bool {
        state.withLock { close(&$0) }
        return control.areClosed
    }

    /// Ends the renewals without closing: the gates are gone.
    func end() {
        state.withLock { $0.isEnded = true }
    }

    // MARK: - The thread

    private func start() {
        let box = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Gatekeeper>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        if code == 0 { pthread_detach(thread) } else { box.release() }
    }

    private func run() {
        // Real-time priority for a busy machine (sched(7)): the thread runs only a few microseconds at a time. If that
        // is not allowed, it keeps its normal priority.
        var priority = sched_param(sched_priority: 1)
        pthread_setschedparam(pthread_self(), SCHED_RR, &priority)
        while let wait = turn() {
            turns.send()
            // An injected clock may run ahead of the kernel's, so only the difference counts.
            BootClock.sleep(until: BootClock.system.now().advanced(milliseconds: wait))
        }
        turns.send()
    }

    /// Does what is due.
    ///
    /// - Returns: milliseconds until it has to look again; nil when there is nothing left to do.
    func turn() -> Int64? {
        let now = clock.now()
        return state.withLock { state in
            if state.isEnded { return nil }
            var left = Self.interval
            switch state.phase {
            case .idle, .closed: return nil
            case .open(let deadline):
                left = now.milliseconds(until: deadline)
                if left <= 0 {
                    close(&state)
                    return nil
                }
            case .keeping: break
            }
            if now < state.earliest { return min(left, max(now.milliseconds(until: state.earliest), 1)) }
            var age: Int64 { (state.renewed ?? now).milliseconds(until: now) }
            if age >= Self.interval {
                guard state.beat.milliseconds(until: now) < Self.hung else { return min(left, Self.hungInterval) }
                renew(&state, now)
            }
            return min(left, max(Self.interval - age, 1))
        }
    }

    private func renew(_ state: inout State, _ now: BootInstant) {
        do throws(HostError) {
            let lapsed = state.renewed.map { Self.hasLapsed(since: $0, now) } ?? false
            try control.renew()
            if lapsed { state.notice = .lapsed }
            state.renewed = now
        } catch {
            state.notice = .gone("\(error)")
            // Tried again with the next turn.
            state.renewed = now.advanced(milliseconds: -Self.interval + 1_000)
        }
    }

    private func close(_ state: inout State) {
        state.phase = .closed
        // Tried again if the kernel was out of memory; a gate that stays open closes by itself.
        for _ in 0..<3 where (try? control.close()) == nil { usleep(1_000) }
    }

    /// Whether gates renewed at an instant may have closed by now; a second early, because the kernel counts ticks.
    static func hasLapsed(since renewed: BootInstant, _ now: BootInstant) -> Bool {
        renewed.milliseconds(until: now) >= Int64(Gate.usualSeconds - 1) * 1_000
    }
}
