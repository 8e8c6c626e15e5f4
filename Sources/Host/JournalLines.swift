import FoundationEssentials

/// What `journalctl --output=json` prints: one object a line.
enum JournalLines {
    private struct Line: Decodable {
        /// The message; a list of bytes, which is left out, where it is not text.
        var message: String?
        /// Microseconds since 1970.
        var time: String
        var transport: String?
        var facility: String?

        enum CodingKeys: String, CodingKey {
            case message = "MESSAGE"
            case time = "__REALTIME_TIMESTAMP"
            case transport = "_TRANSPORT"
            case facility = "SYSLOG_FACILITY"
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            message = try? values.decode(String.self, forKey: .message)
            time = try values.decode(String.self, forKey: .time)
            transport = try? values.decode(String.self, forKey: .transport)
            facility = try? values.decode(String.self, forKey: .facility)
        }
    }

    /// The kernel's own messages, oldest first.
    ///
    /// The facility is 0 only for the kernel itself: what a program writes to /dev/kmsg gets another one.
    ///
    /// - Parameter output: what journalctl printed.
    /// - Returns: the messages; anything else is left out.
    static func entries(in output: [UInt8]) -> [KernelLog.Entry] {
        let decoder = JSONDecoder()
        return output.split(separator: UInt8(ascii: "\n")).compactMap { line in
            guard let line = try? decoder.decode(Line.self, from: Data(line)), line.transport == "kernel",
                line.facility == "0", let text = line.message, let time = Int64(line.time)
            else { return nil }
            return KernelLog.Entry(time: time, text: text)
        }
    }
}
