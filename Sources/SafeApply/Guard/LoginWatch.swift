import Host

/// When the guard looks for new SSH logins.
///
/// A short login lasts only a moment, so it must be seen while it lasts. sshd executes a program for each connection
/// (itself, or `sshd-session` since OpenSSH 9.8), and the kernel tells when that file is opened. From then on the guard
/// looks often, until nobody is about to log in any more. Where these files are unknown, it looks often all the time.
struct LoginWatch {
    private let witness: ConnectionWitness
    private let openings = FileOpenings()
    /// Whether the kernel tells when sshd is executed.
    private var isTold = false
    /// Until when it looks often.
    private var busyUntil = BootInstant(nanoseconds: 0)
    /// The process mark and time of the last look.
    private var last = (mark: "", at: BootInstant(nanoseconds: 0))

    /// How often it looks while somebody may be about to log in, in milliseconds.
    private static let interval: Int64 = 100
    /// How often it looks even if no process has started, in milliseconds.
    private static let slowInterval: Int64 = 1_000
    /// How long it looks often after sshd was executed, in milliseconds.
    private static let busyTime: Int64 = 3_000

    init(_ witness: ConnectionWitness) { self.witness = witness }

    /// A descriptor that becomes readable when sshd is executed.
    var descriptor: Int32? { openings?.descriptor }

    /// How long to wait at most until the next look, in milliseconds; nil for as long as the descriptor says nothing.
    func pause(_ now: BootInstant) -> Int64? { isTold && busyUntil <= now ? nil : Self.interval }

    /// Begins to watch sshd's programs, or finds those that were added since.
    mutating func watch() {
        guard let openings else { return }
        isTold = witness.loginPrograms().filter(openings.watch).isEmpty == false
    }

    /// Looks for a login if there may be one.
    ///
    /// - Parameters:
    ///   - since: when the new rules became active.
    ///   - now: the present instant.
    /// - Returns: the client address of a login that succeeded since then.
    mutating func look(since: BootInstant, _ now: BootInstant) -> String? {
        if openings?.clear() == true { busyUntil = now.advanced(milliseconds: Self.busyTime) }
        let mark = witness.processMark()
        let isDue = last.at.advanced(milliseconds: Self.slowInterval) <= now
        guard mark.isEmpty || mark != last.mark || isDue else { return nil }
        last = (mark, now)
        // sshd may have been upgraded.
        if isDue { watch() }
        switch witness.newLogin(since) {
        case .succeeded(let address): return address
        case .underWay: busyUntil = max(busyUntil, now.advanced(milliseconds: Self.busyTime))
        case .none: break
        }
        return nil
    }
}
