import Synchronization

/// How long a rehearsal still waits for reports of the kernel's trace that do not come, over all its packets.
final class TracePatience: Sendable {
    private let left = Mutex(Duration.seconds(15))

    /// How long to wait for the next packets: shorter where much has been waited for in vain.
    var limit: Duration { left.withLock { min(.seconds(5), max($0, .milliseconds(500))) } }

    /// Whether it is used up.
    var isOver: Bool { left.withLock { $0 <= .zero } }

    /// Notes a wait in vain.
    func spend(_ time: Duration) { left.withLock { $0 -= time } }
}
