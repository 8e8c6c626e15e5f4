import Glibc

/// The kernel's own messages, as far back as this machine keeps them.
package struct KernelLog: Sendable {
    /// A message with its time.
    package struct Entry: Hashable, Sendable {
        /// Microseconds since the beginning of 1970.
        package let time: Int64
        /// The message, which may contain anything.
        package let text: String

        /// A message from its parts.
        package init(time: Int64, text: String) {
            self.time = time
            self.text = text
        }
    }

    /// Where messages come from.
    package enum Source: String, Sendable {
        /// systemd's journal, which includes earlier boots.
        case journal
        /// The kernel's own buffer: this boot only.
        case kmsg
    }

    /// What was read.
    package struct Reading: Equatable, Sendable {
        /// The messages, oldest first.
        package var entries: [Entry]
        /// Where they come from.
        package var source: Source
        /// Microseconds since the beginning of 1970 of the oldest message that the buffer still holds; nil for the
        /// journal.
        package var oldest: Int64?
        /// Whether there were more messages than are read.
        package var isCut = false

        /// A reading from its parts.
        package init(entries: [Entry], source: Source, oldest: Int64? = nil, isCut: Bool = false) {
            self.entries = entries
            self.source = source
            self.oldest = oldest
            self.isCut = isCut
        }
    }

    private let journalctl: String?
    private let buffer: String
    private let runner: any CommandRunner
    private let clock: BufferClock

    /// The kernel log of this machine.
    ///
    /// - Parameters:
    ///   - layout: where the journal and the buffer are looked for first.
    ///   - toolbox: finds journalctl.
    ///   - runner: runs it.
    ///   - clock: the present time, on the clock of the buffer's messages too.
    package init(layout: Layout, toolbox: Toolbox, runner: any CommandRunner, clock: BufferClock = .system) {
        journalctl =
            SecureFiles.exists(layout.path("/run/systemd/journal/socket")) ? toolbox.find("journalctl") : nil
        let own = layout.path("/dev/kmsg")
        buffer = SecureFiles.exists(own) ? own : "/dev/kmsg"
        self.runner = runner
        self.clock = clock
    }

    /// The messages since a time that contain a text.
    ///
    /// A journal without any message of the kernel does not collect them, and the buffer is read instead.
    ///
    /// - Parameters:
    ///   - since: seconds since the beginning of 1970.
    ///   - text: plain text without quotation marks and control characters.
    /// - Returns: the messages.
    /// - Throws: `file` if the buffer cannot be read; what running journalctl throws, if the buffer cannot be read
    ///   either.
    package func read(since: Int64, containing text: String) async throws(HostError) -> Reading {
        var trouble: HostError?
        if let journalctl {
            do throws(HostError) {
                let lines = JournalLines(try await journal(journalctl, since: since))
                if lines.count > 0 {
                    let entries = lines.entries(containing: text).filter { $0.time >= since * 1_000_000 }
                    return Reading(entries: entries, source: .journal, isCut: lines.count >= Self.limit)
                }
            } catch { trouble = error }
        }
        do throws(HostError) {
            let records = try KernelBuffer(path: buffer, waits: false).readAll()
            let entries = KernelBuffer.entries(in: records, clock.offset())
            return Reading(
                entries: entries.filter { $0.time >= since * 1_000_000 && $0.text.contains(text) }, source: .kmsg,
                oldest: entries.first?.time)
        } catch { throw trouble ?? error }
    }

    /// Passes on messages of this boot as they come, without end.
    ///
    /// - Parameters:
    ///   - since: seconds since the beginning of 1970; earlier messages are left out. Nil for new messages only.
    ///   - body: what to do with a message; an error ends the reading.
    /// - Throws: `HostError.file` if the buffer cannot be read; what `body` throws.
    package func follow(since: Int64?, _ body: (Entry) throws -> Void) throws {
        let file = try KernelBuffer(path: buffer, waits: true)
        if since == nil { file.skipToEnd() }
        while let record = try file.next() {
            for entry in KernelBuffer.entries(in: record, clock.offset())
            where since.map({ entry.time >= $0 * 1_000_000 }) ?? true {
                try body(entry)
            }
        }
    }

    // MARK: - The journal

    /// The newest messages that are read; a busy machine may have millions.
    private static let limit = 100_000

    private func journal(_ program: String, since: Int64) async throws(HostError) -> [UInt8] {
        // The option -k would leave out earlier boots.
        let fields = "MESSAGE,SYSLOG_FACILITY,_TRANSPORT,_SOURCE_MONOTONIC_TIMESTAMP"
        let options = [
            "--quiet", "--no-pager", "--output=json", "--output-fields=\(fields)", "--since=@\(since)",
            "--lines=\(Self.limit)", "_TRANSPORT=kernel",
        ]
        return try await runner.check(Command(program, options, timeout: .seconds(60))).output
    }
}

/// The present time on two clocks.
package struct BufferClock: Sendable {
    /// How many microseconds the date is ahead of the clock of the buffer's messages.
    package let offset: @Sendable () -> Int64

    /// A clock from a function that compares the two.
    package init(offset: @escaping @Sendable () -> Int64) { self.offset = offset }

    /// The kernel's clocks; messages have the time since the boot without suspends, as CLOCK_MONOTONIC has.
    package static let system = BufferClock {
        var date = timespec()
        var monotonic = timespec()
        clock_gettime(CLOCK_REALTIME, &date)
        clock_gettime(CLOCK_MONOTONIC, &monotonic)
        return (Int64(date.tv_sec) - Int64(monotonic.tv_sec)) * 1_000_000
            + (Int64(date.tv_nsec) - Int64(monotonic.tv_nsec)) / 1_000
    }
}
