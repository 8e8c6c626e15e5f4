import Host

/// When the guard looks after its supervisor.
struct SupervisorWatch {
    /// Tells when the supervisor ends; nil if it has ended, or if the kernel cannot tell.
    private var process: ProcessDescriptor?
    /// The next look, unless the supervisor ends earlier.
    private var next = BootInstant(nanoseconds: 0)

    /// How often it looks, in milliseconds.
    private static let interval: Int64 = 1_000
    /// How long it leaves an ended supervisor to systemd, which restarts it after 200 ms, in milliseconds.
    private static let grace: Int64 = 500

    /// A descriptor that becomes readable when the supervisor ends.
    var descriptor: Int32? { process?.descriptor }

    /// How long to wait at most until the next look, in milliseconds; nil for as long as the descriptor says nothing.
    func pause(_ now: BootInstant) -> Int64? { process == nil ? max(0, now.milliseconds(until: next)) : nil }

    /// Makes sure that a supervisor runs and is not stopped, at most once a second.
    ///
    /// - Parameters:
    ///   - id: the change.
    ///   - kind: what started the supervisor.
    ///   - environment: the machine.
    mutating func look(_ id: String, kind: SupervisorKind, in environment: ChangeEnvironment) {
        let now = environment.clock.now()
        if let descriptor, !Poll.readable([descriptor], milliseconds: 0).isEmpty {
            process = nil
            next = now.advanced(milliseconds: Self.grace)
        }
        guard next <= now else { return }
        next = now.advanced(milliseconds: Self.interval)
        process = Supervisor.lookAfter(id, kind: kind, in: environment).flatMap { ProcessDescriptor($0) }
    }
}
