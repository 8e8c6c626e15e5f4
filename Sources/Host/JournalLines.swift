import FoundationEssentials

/// What `journalctl --output=json` prints: one object a line.
struct JournalLines {
    private let lines: [ArraySlice<UInt8>]

    /// The lines of journalctl's output.
    init(_ output: [UInt8]) { lines = output.split(separator: UInt8(ascii: "\n")) }

    /// How many messages there are.
    var count: Int { lines.count }

    private struct Line: Decodable {
        /// The message; nil where it is not text.
        var message: String?
        /// Microseconds since 1970 at which the journal read it.
        var time: String
        /// The same moment in microseconds since the boot.
        var monotonic: String?
        /// When the kernel wrote it, in microseconds since the boot.
        var source: String?
        var transport: String?
        var facility: String?

        enum CodingKeys: String, CodingKey {
            case message = "MESSAGE"
            case time = "__REALTIME_TIMESTAMP"
            case monotonic = "__MONOTONIC_TIMESTAMP"
            case source = "_SOURCE_MONOTONIC_TIMESTAMP"
            case transport = "_TRANSPORT"
            case facility = "SYSLOG_FACILITY"
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            func text(_ key: CodingKeys) -> String? { try? values.decode(String.self, forKey: key) }
            // A message that is not text is a list of bytes.
            message = text(.message)
            time = try values.decode(String.self, forKey: .time)
            monotonic = text(.monotonic)
            source = text(.source)
            transport = text(.transport)
            facility = text(.facility)
        }
    }

    /// The kernel's own messages that contain a text, in the order of the journal.
    ///
    /// The facility is 0 only for the kernel itself: what a program writes to /dev/kmsg gets another one.
    ///
    /// - Parameter text: plain text without quotation marks and control characters.
    /// - Returns: the messages; anything else is left out.
    func entries(containing text: String) -> [KernelLog.Entry] {
        let decoder = JSONDecoder()
        let wanted = Array(text.utf8)
        return lines.compactMap { line in
            guard Self.contains(line, wanted), let line = try? decoder.decode(Line.self, from: Data(line)),
                line.transport == "kernel", line.facility == "0", let message = line.message,
                let time = Self.number(line.time)
            else { return nil }
            // The journal may have read it much later, for example after the boot.
            let delay = (line.monotonic.flatMap(Self.number) ?? 0) - (line.source.flatMap(Self.number) ?? .max / 2)
            return KernelLog.Entry(time: time - max(0, delay), text: message)
        }
    }

    /// A number of at most 18 digits.
    private static func number(_ text: String) -> Int64? {
        text.utf8.count <= 18 && text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int64(text) : nil
    }

    private static func contains(_ line: ArraySlice<UInt8>, _ wanted: [UInt8]) -> Bool {
        guard let first = wanted.first else { return true }
        return line.withUnsafeBytes { bytes in
            var start = 0
            while start + wanted.count <= bytes.count {
                if bytes[start] == first, bytes[start..<(start + wanted.count)].elementsEqual(wanted) { return true }
                start += 1
            }
            return false
        }
    }
}
