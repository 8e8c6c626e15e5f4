import CLinux
import Glibc

/// Wakes up a thread that waits in poll(2) (eventfd(2)).
package final class WakeUp: Sendable {
    /// For poll(2); -1, which poll ignores, if the kernel has none left.
    package let descriptor: Int32
    private let isShared: Bool

    /// A wake-up that this process sends itself.
    package init() {
        descriptor = latchkey_event()
        isShared = false
    }

    private init(shared descriptor: Int32) {
        self.descriptor = descriptor
        isShared = true
    }

    deinit { if !isShared, descriptor >= 0 { close(descriptor) } }

    /// A wake-up whenever a child process stops, resumes or ends; ended children do not become zombies.
    ///
    /// It replaces the handler of SIGCHLD, so it is only for processes that don't wait for their children.
    ///
    /// - Returns: nil if the kernel refuses.
    package static func onChildren() -> WakeUp? {
        let descriptor = latchkey_child_event()
        return descriptor >= 0 ? WakeUp(shared: descriptor) : nil
    }

    /// Wakes up the thread, now or the next time it waits.
    package func send() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Forgets what was sent so far; call it before checking what has changed.
    package func clear() {
        var count: UInt64 = 0
        _ = Glibc.read(descriptor, &count, 8)
    }
}
