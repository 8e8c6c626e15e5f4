import Glibc

/// One process as procfs reports it, proc(5).
package struct ProcessFacts: Sendable, Equatable {
    /// The process ID.
    package let pid: Int32
    /// The parent's process ID; 0 when the parent is outside of this PID namespace.
    package let parent: Int32
    /// Its short name (comm): at most 15 bytes, any except NUL.
    package let name: String
    /// The letter of its state; `Z` is a zombie.
    package let state: Character
    /// Its controlling terminal's device number, 0 if it has none.
    package let terminal: TerminalNumber
    /// When it was forked, on the boot-time clock, rounded down to a tick (10 ms).
    package let started: BootInstant
    /// The user who started it (real user ID).
    package let realUser: UInt32
    /// The user whose permissions it has (effective user ID).
    package let effectiveUser: UInt32

    /// Reads `/proc/PID/stat` and `/proc/PID/status`; `nil` if they do not have the format of proc(5).
    ///
    /// The name is in parentheses and may contain any of `) (` and spaces, so the fields start after the last `)`.
    init?(pid: Int32, stat: [UInt8], status: String, ticksPerSecond: Int64 = Self.ticksPerSecond) {
        guard let open = stat.firstIndex(of: UInt8(ascii: "(")),
            let close = stat.lastIndex(of: UInt8(ascii: ")")), open < close
        else { return nil }
        // Field 3, the state, is the first after the name.
        let fields = stat[(close + 1)...].split(separator: UInt8(ascii: " "))
            .map { String(decoding: $0, as: UTF8.self) }
        guard fields.count >= 20, let state = fields[0].first, let parent = Int32(fields[1]),
            let terminal = Int32(fields[4]), let ticks = Int64(fields[19]), ticksPerSecond > 0
        else { return nil }
        guard let users = status.split(separator: "\n").first(where: { $0.hasPrefix("Uid:") }) else { return nil }
        let numbers = users.dropFirst(4).split(whereSeparator: { $0 == "\t" || $0 == " " }).compactMap { UInt32($0) }
        guard numbers.count >= 2 else { return nil }
        self.pid = pid
        self.parent = parent
        self.name = String(decoding: stat[(open + 1)..<close], as: UTF8.self)
        self.state = state
        self.terminal = TerminalNumber(rawValue: UInt32(bitPattern: terminal))
        let (seconds, rest) = ticks.quotientAndRemainder(dividingBy: ticksPerSecond)
        self.started = BootInstant(
            nanoseconds: seconds * 1_000_000_000 + rest * (1_000_000_000 / ticksPerSecond))
        self.realUser = numbers[0]
        self.effectiveUser = numbers[1]
    }

    static var ticksPerSecond: Int64 { Int64(sysconf(Int32(_SC_CLK_TCK))) }
}

/// A terminal's device number as in `/proc/PID/stat`: minor in bits 31-20 and 7-0, major in 15-8.
package struct TerminalNumber: RawRepresentable, Sendable, Equatable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    private var major: UInt32 { (rawValue >> 8) & 0xff }
    private var minor: UInt32 { (rawValue & 0xff) | ((rawValue >> 12) & 0xfff00) }

    /// Whether there is a terminal.
    package var exists: Bool { rawValue != 0 }

    /// Whether it is a pseudo-terminal: a window, a remote login, sudo, a container.
    package var isPseudo: Bool { (136...143).contains(major) }

    /// Its name without `/dev/`, if Linux's list of devices (devices.txt) defines it.
    package var name: String {
        switch (major, minor) {
        case (0, 0): "none"
        case (4, 0..<64): "tty\(minor)"
        case (4, _): "ttyS\(minor - 64)"
        case (5, 1): "console"
        case (136...143, _): "pts/\((major - 136) * 256 + minor)"
        case (204, 64..<80): "ttyAMA\(minor - 64)"
        case (229, _): "hvc\(minor)"
        default: "terminal \(major):\(minor)"
        }
    }
}
