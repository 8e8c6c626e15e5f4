import Glibc
import Logging

/// Writes messages to the system log (and so to systemd's journal), never to a terminal.
///
/// It does not use syslog(3), which blocks while the receiver does not read: a guard must not wait for a log. A message
/// that the receiver does not accept immediately is lost.
package struct SystemLog: LogHandler {
    package var logLevel: Logger.Level = .info
    package var metadata: Logger.Metadata = [:]
    private let path: String

    /// A handler that sends to the local receiver (syslogd or journald).
    package init(path: String = "/dev/log") { self.path = path }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var now = time(nil)
        var local = tm()
        localtime_r(&now, &local)
        let line = Self.line(
            priority: Self.facility << 3 | Self.severity(event.level), time: local, pid: OwnProcess.pid,
            message: "\(event.message)")
        UnixSocket.sendDatagram(line, to: path)
    }

    /// A message as local receivers expect it: RFC 3164 without the host name, which they add themselves.
    ///
    /// It is always one line of at most 1,024 bytes (section 4.1).
    static func line(priority: Int32, time: tm, pid: Int32, message: String) -> String {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32, _ pad: String = "0") -> String { (number < 10 ? pad : "") + "\(number)" }
        let month = months[Int(time.tm_mon) % 12]
        let stamp =
            "\(month) \(two(time.tm_mday, " ")) \(two(time.tm_hour)):\(two(time.tm_min)):\(two(time.tm_sec))"
        var line = "<\(priority)>\(stamp) latchkey[\(pid)]: "
        for scalar in message.unicodeScalars {
            // A message that contains a newline would look like two, the second from an unknown sender.
            let isControl = scalar.properties.generalCategory == .control
            let next = isControl ? " " : String(Character(scalar))
            guard line.utf8.count + next.utf8.count <= 1_021 else { return line + "..." }
            line += next
        }
        return line
    }

    /// LOG_AUTHPRIV of syslog(3): messages about firewall changes are for few to read.
    private static let facility: Int32 = 10

    /// The severities of RFC 3164.
    private static func severity(_ level: Logger.Level) -> Int32 {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
