import Glibc

/// The events that ended a wait.
struct Wakeup {
    /// Keys or the end of input can be read.
    var hasInput = false
    /// The other end is closed, and there is nothing left to read.
    var isGone = false
    /// The signals that arrived.
    var signals: [Int32] = []
}

/// Waits for input or signals, with an optional deadline.
struct InputWait {
    let descriptor: Int32
    let signals: SignalPipe

    func wait(until deadline: ContinuousClock.Instant?) -> Wakeup {
        var descriptors = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        let count = poll(&descriptors, nfds_t(descriptors.count), milliseconds(until: deadline))
        var wakeup = Wakeup()
        guard count > 0 else {
            // EINTR: a signal arrived. Either its byte is in the pipe, or another handler has handled it.
            if count < 0 { wakeup.signals = signals.drain() }
            return wakeup
        }
        if descriptors[1].revents != 0 { wakeup.signals = signals.drain() }
        let events = Int32(descriptors[0].revents)
        wakeup.hasInput = events & POLLIN != 0
        wakeup.isGone = !wakeup.hasInput && events & (POLLHUP | POLLERR | POLLNVAL) != 0
        return wakeup
    }

    private func milliseconds(until deadline: ContinuousClock.Instant?) -> Int32 {
        guard let deadline else { return -1 }
        let left = deadline - ContinuousClock.now
        guard left > .zero else { return 0 }
        let (seconds, attoseconds) = left.components
        // Rounded up, so that the wait does not end slightly early and start again at once.
        return Int32(min(60_000, seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1))
    }
}
