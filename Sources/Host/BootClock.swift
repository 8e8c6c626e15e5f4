import Glibc

/// An instant on the clock that counts from boot, including suspends, and that date changes don't affect.
package struct BootInstant: Sendable, Comparable, Hashable, Codable {
    /// Nanoseconds since the boot (CLOCK_BOOTTIME, clock_gettime(2)).
    package var nanoseconds: Int64

    /// An instant this many nanoseconds after the boot.
    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package init(from decoder: any Decoder) throws {
        nanoseconds = try decoder.singleValueContainer().decode(Int64.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(nanoseconds)
    }

    package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The instant this many milliseconds later.
    package func advanced(milliseconds: Int64) -> Self { Self(nanoseconds: nanoseconds + milliseconds * 1_000_000) }

    /// Milliseconds from this instant to another, rounded up so that waiting for them is never too short.
    package func milliseconds(until other: Self) -> Int64 {
        let difference = other.nanoseconds - nanoseconds
        return difference <= 0 ? difference / 1_000_000 : (difference + 999_999) / 1_000_000
    }
}

/// The boot clock and the date, both injected so that tests can move them.
package struct BootClock: Sendable {
    /// The present instant.
    package let now: @Sendable () -> BootInstant
    /// Seconds since 1970, UTC.
    package let date: @Sendable () -> Int64

    /// A clock from two functions that read the time.
    package init(now: @escaping @Sendable () -> BootInstant, date: @escaping @Sendable () -> Int64) {
        self.now = now
        self.date = date
    }

    /// The kernel's clocks.
    package static let system = BootClock(
        now: {
            var time = timespec()
            clock_gettime(CLOCK_BOOTTIME, &time)
            return BootInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
        },
        date: {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return Int64(time.tv_sec)
        })

    /// Sleeps until an instant on the kernel's clock, or until a signal comes; a suspend counts, unlike in usleep(3).
    package static func sleep(until end: BootInstant) {
        var time = timespec(tv_sec: Int(end.nanoseconds / 1_000_000_000), tv_nsec: Int(end.nanoseconds % 1_000_000_000))
        let code = clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &time, nil)
        // A kernel without timers on this clock must not make the caller spin.
        if code != 0, code != EINTR { usleep(100_000) }
    }
}
