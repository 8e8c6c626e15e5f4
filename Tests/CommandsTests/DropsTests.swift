import Host
import Netfilter
import Testing

@testable import Commands

@Suite("The report of dropped packets")
struct DropsTests {
    private static func line(_ source: String, _ rest: String, out: String = "") -> String {
        let destination = source.contains(":") ? "2001:0db8:0002:0000:0000:0000:0000:0002" : "192.0.2.2"
        return "latchkey drop: IN=eth0 OUT=\(out) MAC=02:00 SRC=\(source) DST=\(destination) LEN=60 \(rest) "
    }

    private static func tcp(_ port: Int) -> String { "PROTO=TCP SPT=40000 DPT=\(port) WINDOW=1 RES=0x00 SYN URGP=0" }

    /// 2026-11-27 00:00:00 UTC.
    private static let midnight: Int64 = 1_795_737_600

    /// A log with lines of latchkey's, of others, and hostile ones.
    private static let entries: [KernelLog.Entry] = {
        var lines: [(Int64, String)] = []
        for index in 0..<212 {
            let source = index < 120 ? "198.51.100.7" : index < 160 ? "203.0.113.9" : "192.0.2.\(100 + index % 12)"
            lines.append((3_600 + Int64(index) * 10, line(source, tcp(8443))))
        }
        for index in 0..<3 {
            lines.append((-60 + Int64(index) * 60, line("2001:0db8:0bad:0000:0000:0000:0000:0007", tcp(22))))
        }
        lines.append((5_000, line("203.0.113.9", "PROTO=ICMP TYPE=8 CODE=0 ID=1 SEQ=1")))
        lines.append((5_001, line("203.0.113.9", "PROTO=132")))
        lines.append((5_002, line("203.0.113.9", tcp(80), out: "docker0")))
        lines.append((5_003, line("203.0.113.9", "PROTO=TCP INCOMPLETE [4 bytes]")))
        lines.append((5_004, "latchkey drop: IN=eth0 OUT= SRC=\u{1B}[2J DST=192.0.2.2 PROTO=TCP"))
        lines.append((5_005, "eth0: link is up"))
        lines.append((5_006, line("203.0.113.9", tcp(23)).replacing("latchkey", with: "other")))
        return lines.map { KernelLog.Entry(time: (midnight + $0.0) * 1_000_000, text: $0.1) }
    }()

    private static let packets = DroppedPackets(entries) { packet in
        switch packet.port {
        case 22: "ssh allows only the admins"
        case 8443: "no service or port in the answers opens it"
        default: "only the admins may ping this server (ping: replies-only)"
        }
    }

    private func text(width: Int, total: UInt64? = 5_012, notes: [String] = []) -> String {
        DropsText(
            period: "24h", since: Self.midnight - 43_200, until: Self.midnight + 43_200,
            logging: "Only a few dropped packets are logged.", total: total, notes: notes, width: width
        ).lines(Self.packets).joined(separator: "\n")
    }

    @Test("at 80 columns")
    func wide() {
        #expect(
            text(width: 80) == """
                Dropped packets in the last 24h, 2026-11-26 12:00 to 2026-11-27 12:00 UTC:

                8443/tcp, 212 times from 14 addresses: no service or port in the answers opens
                  it
                  2026-11-27 01:00:00 to 01:35:10
                  198.51.100.7 (120), 203.0.113.9 (40), 192.0.2.104 (5) and 11 more

                22/tcp over IPv6, 3 times from 2001:db8:bad::7: ssh allows only the admins
                  2026-11-26 23:59:00 to 2026-11-27 00:01:00

                TCP without ports, once from 203.0.113.9: only the admins may ping this server
                  (ping: replies-only)
                  2026-11-27 01:23:23

                80/tcp to a container, once from 203.0.113.9: only the admins may ping this
                  server (ping: replies-only)
                  2026-11-27 01:23:22

                protocol 132, once from 203.0.113.9: only the admins may ping this server (ping:
                  replies-only)
                  2026-11-27 01:23:21

                ping, once from 203.0.113.9: only the admins may ping this server (ping:
                  replies-only)
                  2026-11-27 01:23:20

                Only a few dropped packets are logged.
                latchkey's rules have dropped 5012 packets since they were loaded.
                1 line of the log could not be read and is not counted.
                """)
    }

    @Test("at 40 columns no line is longer")
    func narrow() {
        let lines = text(width: 40, total: nil, notes: ["A note."]).split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 40 })
        #expect(
            lines.prefix(10).joined(separator: "\n") == """
                Dropped packets in the last 24h,
                  2026-11-26 12:00 to 2026-11-27 12:00
                  UTC:
                8443/tcp, 212 times from 14 addresses:
                  no service or port in the answers
                  opens it
                  2026-11-27 01:00:00 to 01:35:10
                  198.51.100.7 (120), 203.0.113.9 (40),
                    192.0.2.104 (5) and 11 more
                22/tcp over IPv6, 3 times from
                """)
        #expect(
            lines.suffix(6).joined(separator: "\n") == """
                Only a few dropped packets are logged.
                The counters of latchkey's rules cannot
                  be read.
                1 line of the log could not be read and
                  is not counted.
                A note.
                """)
    }

    @Test("without a packet the report says so, and with very many it ends")
    func few() {
        let report = DropsText(
            period: "1h", since: 0, until: 3_600, logging: "Dropped packets are not logged.", total: 1, width: 80)
        #expect(
            report.lines(DroppedPackets([]) { _ in "" }).joined(separator: "\n") == """
                No dropped packet was logged in the last 1h, 1970-01-01 00:00 to 1970-01-01
                  01:00 UTC.

                Dropped packets are not logged.
                latchkey's rules have dropped 1 packet since they were loaded.
                """)
        let many = (1...30).map { KernelLog.Entry(time: 0, text: Self.line("203.0.113.9", Self.tcp($0))) }
        let lines = report.lines(DroppedPackets(many) { _ in "" })
        #expect(lines.contains("And 10 more kinds of packets, 10 times."))
        #expect(lines.count { $0.contains("/tcp") } == 20)
    }

    @Test("what is only observed is not called dropped")
    func observed() {
        let report = DropsText(
            period: "1h", since: 0, until: 3_600, logging: "A few.", total: 2, isObserving: true, width: 80)
        #expect(
            report.lines(DroppedPackets([]) { _ in "" }).last
                == "The observed answers would have dropped 2 packets since they were loaded.")
    }

    @Test("no control character of the log is printed")
    func control() {
        #expect(text(width: 80).unicodeScalars.allSatisfy { $0 == "\n" || (0x20...0x7e).contains($0.value) })
    }

    @Test("the JSON has every key, and null where there is no value")
    func json() throws {
        let few = DroppedPackets([Self.entries[0], Self.entries[215]]) { _ in "reason" }
        let report = DropsReport(since: 0, until: Self.midnight, isLogging: true, total: nil, few)
        #expect(
            try report.json() == """
                {"drops":[{"count":1,"family":"ipv4","first":"2026-11-27T01:23:20Z","last":"2026-11-27T01:23:20Z",\
                "port":null,"protocol":"icmp","reason":"reason","sources":1,"topSources":[{"count":1,\
                "source":"203.0.113.9"}],"type":8},{"count":1,"family":"ipv4","first":"2026-11-27T01:00:00Z",\
                "last":"2026-11-27T01:00:00Z","port":8443,"protocol":"tcp","reason":"reason","sources":1,\
                "topSources":[{"count":1,"source":"198.51.100.7"}],"type":null}],"limited":true,"logging":true,\
                "notes":[],"since":"1970-01-01T00:00:00Z","total":null,"unreadable":0,\
                "until":"2026-11-27T00:00:00Z"}

                """)
        let all = DropsReport(since: 0, until: 1, isLogging: false, total: 7, Self.packets)
        #expect(all.drops.first?.topSources.map(\.count) == [120, 40, 5])
        #expect(all.drops.first?.sources == 14)
        #expect(all.unreadable == 1 && all.total == 7 && !all.logging)
        #expect(all.drops.map(\.count).reduce(0, +) == 219)
    }

    @Test("a followed packet is one line")
    func line() throws {
        let packet = try #require(Self.packets.packets.last { $0.packet.port == 22 })
        #expect(
            DropsText.line(packet)
                == "2026-11-27 00:01:00 22/tcp over IPv6 from 2001:db8:bad::7: ssh allows only the admins")
        #expect(
            try DropLine(packet).json() == """
                {"destination":"2001:db8:2::2","family":"ipv6","interface":"eth0","port":22,"protocol":"tcp",\
                "reason":"ssh allows only the admins","source":"2001:db8:bad::7","time":"2026-11-27T00:01:00Z",\
                "type":null}

                """)
    }

    @Test(
        "a number with a unit is a time to look back",
        arguments: [
            ("90s", 90), ("30m", 1_800), ("1h", 3_600), ("2d", 172_800), ("3650d", 315_360_000),
        ] as [(String, Int64)])
    func since(text: String, seconds: Int64) throws {
        #expect(try SinceOption(parsing: text).seconds == seconds)
    }

    @Test(
        "any other time to look back is a bad command line",
        arguments: [
            "", "5", "h", "0m", "-1h", "+1h", "1.5h", "1 h", "1h ", "1H", "1w", "٤h", "3651d", "999999999d",
            "9999999999999999999h", "1h30m", "yesterday",
        ])
    func badSince(text: String) async {
        #expect(throws: SinceError.self) { try SinceOption(parsing: text) }
        let run = await ProgramRun.of(["drops", "--since=\(text)"], userID: 0)
        #expect(run.status == 64 && run.results.isEmpty)
    }

    @Test("drops needs root, and rules that were kept")
    func needs() async {
        #expect(await ProgramRun.of(["drops"]).status == 77)
        let run = await ProgramRun.of(["drops"], userID: 0)
        #expect(run.status == 69)
        #expect(run.talk.contains("No rules of latchkey's are kept"))
    }
}
