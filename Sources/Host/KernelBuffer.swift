import Glibc

/// The kernel's buffer of messages, /dev/kmsg (Documentation/ABI/testing/dev-kmsg).
final class KernelBuffer {
    private let path: String
    private let file: Int32

    /// Opens the buffer at its oldest message.
    ///
    /// - Parameters:
    ///   - path: the device, or a file with the same content.
    ///   - waits: whether reading waits for the next message.
    /// - Throws: `file`.
    init(path: String, waits: Bool) throws(HostError) {
        self.path = path
        file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (waits ? 0 : O_NONBLOCK))
        guard file >= 0 else { throw .file(path: path, operation: "open", errno: errno) }
    }

    deinit { close(file) }

    /// Leaves out the messages that are there.
    func skipToEnd() { lseek(file, 0, SEEK_END) }

    /// The next message, or several at once from a file; nil at the end.
    ///
    /// - Throws: `file`.
    func next() throws(HostError) -> [UInt8]? {
        // A message is never longer than 8 KiB (CONSOLE_EXT_LOG_MAX, PRINTK_MESSAGE_MAX).
        var bytes = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(file, &bytes, bytes.count)
            if count > 0 { return Array(bytes[..<count]) }
            if count == 0 || errno == EAGAIN { return nil }
            // EPIPE: the message was overwritten before it was read, and the next one comes.
            guard [EINTR, EPIPE].contains(errno) else { throw .file(path: path, operation: "read", errno: errno) }
        }
    }

    /// All messages that are there.
    ///
    /// - Throws: `file`.
    func readAll() throws(HostError) -> [UInt8] {
        var all: [UInt8] = []
        while let more = try next() { all += more }
        return all
    }
}

extension KernelBuffer {
    /// The kernel's own messages in records.
    ///
    /// A record is `PRIORITY,NUMBER,MICROSECONDS,FLAGS;MESSAGE`, and lines that begin with a blank describe it further.
    /// The facility, in the priority's higher bits, is 0 only for the kernel itself: what a program writes to /dev/kmsg gets
    /// another one.
    ///
    /// - Parameters:
    ///   - records: the records.
    ///   - offset: how many microseconds the date is ahead of the records' clock.
    /// - Returns: the messages; anything else is left out.
    static func entries(in records: [UInt8], _ offset: Int64) -> [KernelLog.Entry] {
        records.split(separator: UInt8(ascii: "\n")).compactMap { line in
            guard line.first != UInt8(ascii: " "), let mark = line.firstIndex(of: UInt8(ascii: ";")) else { return nil }
            let fields = line[..<mark].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            guard fields.count >= 4, let priority = number(fields[0]), priority >> 3 == 0,
                number(fields[1]) != nil, let stamp = number(fields[2])
            else { return nil }
            return KernelLog.Entry(time: stamp + offset, text: String(decoding: line[(mark + 1)...], as: UTF8.self))
        }
    }

    /// A number of at most 18 digits.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard (1...18).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }
}
