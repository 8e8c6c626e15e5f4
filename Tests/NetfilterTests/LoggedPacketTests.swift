import Testing

@testable import Netfilter

@Suite("Packets in the kernel log")
struct LoggedPacketTests {
    /// A line of the log with what it says.
    struct Case: Sendable, CustomTestStringConvertible {
        let says: String
        let line: String

        var testDescription: String { says }
    }

    static let cases: [Case] = {
        let text = (try? Dumps.bytes("kernel-log.txt")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let lines = text.split(separator: "\n")
        return zip(lines, lines.dropFirst()).filter { $0.0.hasPrefix("> ") }.map {
            Case(says: String($0.0.dropFirst(2)), line: String($0.1))
        }
    }()

    private static func said(_ packet: LoggedPacket?) -> String? {
        guard let packet else { return nil }
        let content =
            switch packet.content {
            case .tcp(let from, let to, let opens): "tcp \(from) > \(to)" + (opens ? " opens" : "")
            case .udp(let from, let to): "udp \(from) > \(to)"
            case .icmp(let type, let code): "\(packet.protocolName) type \(type) code \(code)"
            case .other(let name): name
            case .incomplete(let name): "\(name), incomplete"
            }
        return "\(packet.interface) \(packet.source) > \(packet.destination): \(content)"
            + (packet.outInterface.map { ", out \($0)" } ?? "")
    }

    @Test("there are lines of every kind")
    func complete() {
        #expect(Self.cases.count > 40)
        for kind in ["tcp", "udp", "icmp type", "icmpv6 type", "132", "esp", "ah", "udplite", "unknown", "out docker0"]
        {
            #expect(Self.cases.contains { $0.says.contains(kind) }, "\(kind)")
        }
    }

    @Test("a line of the kernel is read, with and without the blank at its end", arguments: cases)
    func read(_ item: Case) {
        #expect(Self.said(LoggedPacket(parsing: item.line)) == item.says)
        let trimmed = item.line.hasSuffix(" ") ? String(item.line.dropLast()) : item.line
        #expect(Self.said(LoggedPacket(parsing: trimmed)) == item.says)
    }

    private static let good =
        "latchkey drop: IN=eth0 OUT= MAC=02:00 SRC=198.51.100.7 DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=51 ID=1 "
        + "PROTO=TCP SPT=40000 DPT=23 WINDOW=64240 RES=0x00 SYN URGP=0 "

    @Test(
        "a line that the kernel does not write is no packet",
        arguments: [
            ("latchkey drop: ", "other: "),
            ("latchkey drop: ", "x latchkey drop: "),
            ("latchkey drop: ", "latchkey drop: latchkey drop: "),
            ("latchkey drop: IN", "latchkey drop:IN"),
            ("IN=eth0 ", ""),
            ("OUT= ", ""),
            ("IN=eth0 OUT=", "OUT= IN=eth0"),
            ("IN=eth0", "IN="),
            ("IN=eth0", "IN=a-name-of-16-byt"),
            ("IN=eth0", "IN=../etc"),
            ("IN=eth0", "IN=eth\u{1B}[2J"),
            ("IN=eth0", "IN=eth\u{7F}"),
            ("IN=eth0", "IN=ethé"),
            ("OUT=", "OUT=a:b"),
            ("SRC=198.51.100.7", "SRC=198.51.100"),
            ("SRC=198.51.100.7", "SRC=198.51.100.07"),
            ("SRC=198.51.100.7", "SRC=2001:db8::1"),
            ("SRC=198.51.100.7", "SRC=198.51.100.7 SRC=192.0.2.9"),
            ("DST=192.0.2.1 ", ""),
            ("PROTO=TCP", "PROTO=tcp"),
            ("PROTO=TCP", "PROTO=256"),
            ("PROTO=TCP", "PROTO=-1"),
            ("PROTO=TCP", "PROTO=TCP PROTO=UDP"),
            ("PROTO=TCP", "PROTO=ICMP"),
            ("PROTO=TCP", "PROTO=\u{1B}[31m"),
            ("PROTO=TCP ", ""),
            ("DPT=23", "DPT=65536"),
            ("DPT=23", "DPT=+23"),
            ("DPT=23", "DPT=023"),
            ("DPT=23", "DPT=٢٣"),
            ("DPT=23", "DPT=23 DPT=22"),
            ("DPT=23 ", ""),
            ("SYN", "SYN/ACK"),
            ("URGP=0 ", "URGP=0 Accepted password for root"),
            ("URGP=0 ", "URGP=0 [SRC=192.0.2.1"),
            ("URGP=0 ", "URGP=0\nlatchkey drop: IN=eth0"),
            ("URGP=0 ", "URGP=0 INCOMPLETE [4 bytes"),
            ("URGP=0 ", "URGP=0 OPT (00 "),
            ("LEN=60", "LEN=sixty"),
            ("LEN=60", "LEN="),
            ("LEN=60", "LEN"),
            ("LEN=60", "=60"),
        ])
    func hostile(old: String, new: String) {
        #expect(LoggedPacket(parsing: Self.good) != nil)
        let line = Self.good.replacing(old, with: new, maxReplacements: 1)
        #expect(line != Self.good)
        #expect(LoggedPacket(parsing: line) == nil, "\(line.debugDescription)")
    }

    @Test("a line of a megabyte, brackets without end and an empty line are no packets")
    func long() {
        #expect(LoggedPacket(parsing: Self.good + String(repeating: "ID=1 ", count: 200_000)) == nil)
        let icmp = Self.good.prefix { $0 != "P" } + "PROTO=ICMP "
        #expect(LoggedPacket(parsing: icmp + "TYPE=3 CODE=1 ") != nil)
        #expect(LoggedPacket(parsing: icmp + "TYPE=3 CODE=1 " + String(repeating: "[", count: 100)) == nil)
        #expect(LoggedPacket(parsing: "") == nil)
        #expect(LoggedPacket(parsing: LoggedPacket.dropPrefix) == nil)
    }

    @Test("ports of the embedded packet of an ICMP error are not the packet's")
    func embedded() throws {
        let line = try #require(Self.cases.first { $0.says.contains("icmp type 3") }?.line)
        #expect(line.contains("DPT=80"))
        #expect(LoggedPacket(parsing: line)?.port == nil)
    }
}
