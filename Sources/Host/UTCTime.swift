import Glibc

/// A date and time of day, UTC, as texts.
package struct UTCTime: Sendable, Equatable {
    private let seconds: Int64

    /// The moment this many seconds after the beginning of 1970.
    package init(secondsSince1970 seconds: Int64) { self.seconds = seconds }

    /// For example `20261122-154210`.
    package var compact: String { text("%Y%m%d-%H%M%S") }

    /// For example `2026-11-22T15:42:10` (ISO 8601), which the time match of iptables also accepts.
    package var iso8601: String { text("%Y-%m-%dT%H:%M:%S") }

    private func text(_ format: String) -> String {
        var moment = time_t(seconds)
        var parts = tm()
        gmtime_r(&moment, &parts)
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = buffer.withUnsafeMutableBytes { bytes in
            strftime(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, format, &parts)
        }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}
