import Glibc
import TestSupport
import Testing

@testable import Host

@Suite("The system log")
struct SystemLogTests {
    private static func line(_ message: String) -> String {
        var time = tm()
        (time.tm_mon, time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec) = (1, 3, 4, 5, 6)
        return SystemLog.line(priority: 85, time: time, pid: 4_711, message: message)
    }

    @Test("a message follows RFC 3164: priority, time with a space-padded day, tag and process")
    func form() {
        #expect(Self.line("Hello.") == "<85>Feb  3 04:05:06 latchkey[4711]: Hello.")
    }

    @Test("a message always takes one line", arguments: ["a\nb", "a\rb", "a\u{0}b", "a\u{1B}b", "a\u{85}b"])
    func oneLine(message: String) {
        #expect(Self.line(message).hasSuffix(": a b"))
    }

    @Test("no message is longer than 1,024 bytes, and none is cut inside a character", arguments: ["x", "ä", "€", "😀"])
    func length(filler: String) {
        let line = Self.line(String(repeating: filler, count: 2_000))
        #expect((1_018...1_024).contains(line.utf8.count))
        #expect(line.hasSuffix("\(filler)..."))
    }

    @Test("it does not wait for a receiver that is missing or has stopped reading")
    func nobodyReads() throws {
        let folder = try TemporaryFolder()
        UnixSocket.sendDatagram("x", to: folder.path + "/missing")
        let receiver = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC, 0)
        defer { close(receiver) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = folder.path + "/log"
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let bound = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(receiver, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        let start = ContinuousClock.now
        for _ in 0..<2_000 { UnixSocket.sendDatagram("hello", to: path) }
        #expect(ContinuousClock.now - start < .seconds(5))
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = recv(receiver, &buffer, buffer.count, 0)
        #expect(String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self) == "hello")
    }
}
