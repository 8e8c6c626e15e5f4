/// What `status` reports with `--json`.
package struct StatusReport: Report, Equatable {
    /// How the machine stands.
    package enum State: String, CaseIterable, Codable, Sendable {
        case idle, pending, kept, reverted, failed
    }

    /// The process that owns a pending change.
    package struct Guard: Equatable, Codable, Sendable {
        /// What starts a guard again that was killed.
        package enum Supervisor: String, CaseIterable, Codable, Sendable {
            case systemd, process
        }

        /// Its process number.
        package var pid: Int32
        /// Who watches over it.
        package var supervisor: Supervisor

        /// A guard and its supervisor.
        package init(pid: Int32, supervisor: Supervisor) {
            self.pid = pid
            self.supervisor = supervisor
        }
    }

    /// How the machine stands.
    package var state: State
    /// The pending or the last change.
    @OrNull package var change: String?
    /// Seconds until a pending change is reverted.
    @OrNull package var secondsLeft: Int?
    /// Who owns the pending change.
    @OrNull package var `guard`: Guard?
    /// The iptables that is looked at: nft or legacy.
    package var backend: String
    /// The snapshot of the pending or last change.
    @OrNull package var snapshot: String?
    /// Whether the live rules differ from what is pending, or from what was kept.
    package var drift: Bool
    /// Whether a login newer than the pending change has been seen.
    package var freshConnectionSeen: Bool
    /// What the gates of a pending trial rest on: recent, set, timeout or none; nil when nothing is pending.
    @OrNull package var gate: String?

    /// A report of given parts.
    package init(
        state: State, change: String? = nil, secondsLeft: Int? = nil, guard: Guard? = nil, backend: String,
        snapshot: String? = nil, drift: Bool = false, freshConnectionSeen: Bool = false,
        gate: String? = nil
    ) {
        self.state = state
        self.change = change
        self.secondsLeft = secondsLeft
        self.guard = `guard`
        self.backend = backend
        self.snapshot = snapshot
        self.drift = drift
        self.freshConnectionSeen = freshConnectionSeen
        self.gate = gate
    }
}
