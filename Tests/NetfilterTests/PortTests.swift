import Testing

@testable import Netfilter

@Suite("Ports")
struct PortTests {
    @Test(
        "a port or a range is read, printed for people and printed for iptables",
        arguments: [
            ("80", "80", "80"), ("1", "1", "1"), ("65535", "65535", "65535"), ("80-80", "80", "80"),
            ("60000-61000", "60000-61000", "60000:61000"), ("1-65535", "1-65535", "1:65535"),
        ])
    func forms(written: String, people: String, iptables: String) throws {
        let range = try PortRange(parsing: written)
        #expect(range.description == people)
        #expect(range.iptablesText == iptables)
    }

    @Test(
        "text that is not a port is refused, with the text and what to do",
        arguments: [
            ("", "\"\" is not a port; write it like 8080/tcp or 60000-61000/udp."),
            ("http", "\"http\" is not a port; write it like 8080/tcp or 60000-61000/udp."),
            ("-80", "\"-80\" is not a port; write it like 8080/tcp or 60000-61000/udp."),
            ("+80", "\"+80\" is not a port; write it like 8080/tcp or 60000-61000/udp."),
            ("80 ", "\"80 \" is not a port; write it like 8080/tcp or 60000-61000/udp."),
            ("80:90", "\"80:90\" is not a port; write it like 8080/tcp or 60000-61000/udp."),
            ("1-2-3", "\"1-2-3\" is not a port; write it like 8080/tcp or 60000-61000/udp."),
            ("８０", "\"\\u{ff18}\\u{ff10}\" is not a port; write it like 8080/tcp or 60000-61000/udp."),
            ("0", "\"0\" is not a port: ports are numbered from 1 to 65535."),
            ("0-80", "\"0-80\" is not a port: ports are numbered from 1 to 65535."),
            ("65536", "\"65536\" is not a port: 65536 is more than 65535."),
            ("1-99999999999999999999", "\"1-99999999999999999999\" is not a port: 99999999... is more than 65535."),
            ("080", "\"080\": write 080 without the leading zero."),
            ("90-80", "\"90-80\" is backwards; write 80-90."),
        ])
    func refusal(text: String, message: String) throws {
        let error = #expect(throws: PortError.self) { try PortRange(parsing: text) }
        #expect(error?.message == message)
        #expect(error?.text == text)
    }

    @Test(
        "malformed ports with a protocol are refused with the whole text",
        arguments: [
            ("8080", "\"8080\" has no protocol; write it like 8080/tcp or 51820/udp."),
            ("8080/sctp", "\"8080/sctp\": the protocol \"sctp\" is not supported; use tcp or udp."),
            ("8080/TCP", "\"8080/TCP\": the protocol \"TCP\" is not supported; use tcp or udp."),
            ("8080/", "\"8080/\": the protocol \"\" is not supported; use tcp or udp."),
            ("8080/tcp/udp", "\"8080/tcp/udp\": the protocol \"tcp/udp\" is not supported; use tcp or udp."),
            ("0/tcp", "\"0/tcp\" is not a port: ports are numbered from 1 to 65535."),
            ("70000/udp", "\"70000/udp\" is not a port: 70000 is more than 65535."),
            ("9-8/udp", "\"9-8/udp\" is backwards; write 8-9."),
            ("/tcp", "\"/tcp\" is not a port; write it like 8080/tcp or 60000-61000/udp."),
            ("http", "\"http\" is not a port; write it like 8080/tcp or 60000-61000/udp."),
        ])
    func specRefusal(text: String, message: String) throws {
        let error = #expect(throws: PortError.self) { try PortSpec(parsing: text) }
        #expect(error?.message == message)
        #expect(error?.text == text)
    }

    @Test("ports with their protocol are printed as they were written", arguments: ["8080/tcp", "60000-61000/udp"])
    func specForms(text: String) throws {
        #expect(try PortSpec(parsing: text).description == text)
    }

    @Test("numbers from outside are checked")
    func validating() throws {
        #expect(try PortRange(validating: 22, 22) == PortRange(22))
        #expect(throws: PortError.zero("0")) { try PortRange(validating: 0, 0) }
        #expect(throws: PortError.reversed("9-8", lower: 9, upper: 8)) { try PortRange(validating: 9, 8) }
    }

    @Test("overlapping and adjacent ranges are merged")
    func merging() {
        let ranges = [PortRange(8080), PortRange(lower: 10, upper: 20), PortRange(21), PortRange(lower: 15, upper: 18)]
        #expect(PortRange.merged(ranges) == [PortRange(lower: 10, upper: 21), PortRange(8080)])
        #expect(PortRange.merged([PortRange(65535), PortRange(65535)]) == [PortRange(65535)])
        #expect(PortRange.merged([]) == [])
    }
}
