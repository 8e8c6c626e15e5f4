/// What `status` reports with `--json`.
package struct StatusReport: Report, Equatable {
    /// The state of the machine.
    package enum State: String, CaseIterable, Codable, Sendable {
        case idle, pending, kept, reverted, failed
    }

    /// The process that owns a pending change.
    package struct Guard: Equatable, Codable, Sendable {
        /// What restarts a guard that died.
        package enum Supervisor: String, CaseIterable, Codable, Sendable {
            case systemd, process
        }

        /// Its process ID.
        package var pid: Int32
        /// What restarts it if it dies.
        package var supervisor: Supervisor

        /// Creates a guard; see the properties.
        package init(pid: Int32, supervisor: Supervisor) {
            self.pid = pid
            self.supervisor = supervisor
        }
    }

    /// How many packets the kept rules of one answer have counted since they were loaded.
    package struct Counter: Equatable, Codable, Sendable {
        /// The answer, as the rules' comments name it.
        package var answer: String
        /// The number of packets.
        package var packets: UInt64
        /// Their bytes.
        package var bytes: UInt64
    }

    /// The state of the machine.
    package var state: State
    /// The pending or last change.
    @OrNull package var change: String?
    /// Seconds until a pending change is rolled back.
    @OrNull package var secondsLeft: Int?
    /// The guard of the pending change.
    @OrNull package var `guard`: Guard?
    /// The backend in use: nftables, nft or legacy.
    package var backend: String
    /// The snapshot of the pending or last change.
    @OrNull package var snapshot: String?
    /// Whether the live rules differ from the pending rules or from the rules that were kept.
    package var drift: Bool
    /// Whether an SSH login newer than the pending change has been seen.
    package var freshConnectionSeen: Bool
    /// The kind of gate of a pending trial: recent, set, timeout or none; nil if nothing is pending.
    @OrNull package var gate: String?
    /// The counters of the kept rules; left out if nothing is kept, a change is pending or they cannot be read.
    package var counters: [Counter]?

    /// Whether answers are observed, which block nothing.
    package var observing = false
    /// The temporary entries, by source.
    package var temporary: [TemporaryReport]

    /// Creates a report; see the properties.
    package init(
        state: State, change: String? = nil, secondsLeft: Int? = nil, guard: Guard? = nil, backend: String,
        snapshot: String? = nil, drift: Bool = false, freshConnectionSeen: Bool = false,
        gate: String? = nil, temporary: [TemporaryReport] = []
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
        self.temporary = temporary
    }
}
