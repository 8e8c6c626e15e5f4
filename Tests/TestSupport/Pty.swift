import Glibc

/// A program on its own terminal, as a person uses it: a session, a controlling terminal, and a screen.
package actor Pty {
    private var master: Int32
    private let child: pid_t
    private var received: [UInt8] = []
    private var seen = 0
    private var status: Int32?

    /// Starts a program on a new pty.
    ///
    /// setsid(1) from util-linux makes the terminal the controlling one, which posix_spawn cannot do.
    ///
    /// - Throws: `PtyError` when the kernel refuses.
    package init(
        _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], columns: UInt16 = 80,
        rows: UInt16 = 24
    ) throws {
        // posix_openpt(3) and related functions are not imported by Swift; on Linux they are these calls on devpts.
        let master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)
        guard master >= 0 else { throw PtyError.system(call: "open /dev/ptmx", errno: errno) }
        var unlocked: Int32 = 0
        var number: Int32 = 0
        guard ioctl(master, Self.setLock, &unlocked) == 0, ioctl(master, Self.getNumber, &number) == 0 else {
            let code = errno
            close(master)
            throw PtyError.system(call: "ioctl /dev/ptmx", errno: code)
        }
        let name = "/dev/pts/\(number)"
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(master, UInt(TIOCSWINSZ), &size)

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, name, O_RDWR | O_NOCTTY, 0)
        posix_spawn_file_actions_adddup2(&actions, 0, 1)
        posix_spawn_file_actions_adddup2(&actions, 0, 2)
        // A program on a terminal starts with every signal at its default, regardless of what started these tests.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        let words = ["setsid", "--ctty", program] + arguments
        let variables = Self.environment.merging(environment) { $1 }
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0)=\($1)") } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, "/usr/bin/setsid", &actions, &attributes, &argv, &envp)
        guard code == 0 else {
            close(master)
            throw PtyError.system(call: "posix_spawn", errno: code)
        }
        self.master = master
        self.child = child
    }

    deinit {
        if master >= 0 { close(master) }
        if status == nil {
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
        }
    }

    /// TIOCSPTLCK and TIOCGPTN of asm-generic/ioctls.h.
    private static let setLock: UInt = 0x4004_5431
    private static let getNumber: UInt = 0x8004_5430

    private static let environment = [
        "TERM": "xterm", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
        "HOME": "/root",
    ]

    /// The program's process ID.
    package var pid: pid_t { child }

    /// All output so far, as plain text.
    package var screen: String {
        drain()
        return PtyScreen.plain(received)
    }

    /// All output so far, with its escape sequences.
    package var bytes: [UInt8] {
        drain()
        return received
    }

    /// Waits until a text appears after what was expected before.
    ///
    /// - Throws: `PtyError` when it does not appear in time, or the program ends first.
    package func expect(_ text: String, within limit: Duration = .seconds(10)) async throws {
        let end = ContinuousClock.now + limit
        while true {
            let ended = !drain()
            let plain = Array(PtyScreen.plain(received).utf8)
            if let found = Self.find(Array(text.utf8), in: plain, from: min(seen, plain.count)) {
                seen = found
                return
            }
            let screen = String(decoding: plain, as: UTF8.self)
            if ended { throw PtyError.ended(waitingFor: text, screen: screen) }
            if ContinuousClock.now > end { throw PtyError.notSeen(text, screen: screen) }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Types a text; Enter is "\r", Ctrl-C "\u{3}", Ctrl-D "\u{4}".
    ///
    /// - Throws: `PtyError` when the terminal is gone.
    package func send(_ text: String) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(master, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR && errno != EAGAIN {
                throw PtyError.system(call: "write", errno: errno)
            }
        }
    }

    /// Types a line and Enter.
    ///
    /// - Throws: `PtyError` when the terminal is gone.
    package func line(_ text: String) throws { try send(text + "\r") }

    /// Changes the terminal's size; the kernel sends SIGWINCH.
    package func resize(columns: UInt16, rows: UInt16) {
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(master, UInt(TIOCSWINSZ), &size)
    }

    /// Closes the terminal: the kernel sends SIGHUP, and writing to it fails from then on.
    package func hangUp() {
        drain()
        if master >= 0 { close(master) }
        master = -1
    }

    /// Waits for the program's end.
    ///
    /// - Returns: its exit status, or 128 plus the signal's number.
    /// - Throws: `PtyError` when it does not end in time.
    package func exit(within limit: Duration = .seconds(10)) async throws -> Int32 {
        let end = ContinuousClock.now + limit
        while true {
            if let status { return status }
            drain()
            var raw: Int32 = 0
            if waitpid(child, &raw, WNOHANG) == child {
                drain()
                // WIFEXITED, WEXITSTATUS and WTERMSIG are macros, which Swift does not import.
                let signal = raw & 0x7F
                status = signal == 0 ? (raw >> 8) & 0xFF : 128 + signal
                continue
            }
            if ContinuousClock.now > end { throw PtyError.stillRunning(screen: PtyScreen.plain(received)) }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Reads available output; false when the other side is closed, which Linux reports as EIO.
    @discardableResult private func drain() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while master >= 0 {
            let count = read(master, &chunk, chunk.count)
            if count > 0 {
                received += chunk[..<count]
            } else if count < 0, errno == EINTR {
                continue
            } else {
                return count < 0 && errno == EAGAIN
            }
        }
        return false
    }

    /// Where `needle` ends in `hay`, searching from `start`.
    private static func find(_ needle: [UInt8], in hay: [UInt8], from start: Int) -> Int? {
        guard !needle.isEmpty, hay.count - start >= needle.count else { return nil }
        return (start...(hay.count - needle.count)).first { hay[$0...].starts(with: needle) }
            .map { $0 + needle.count }
    }
}
