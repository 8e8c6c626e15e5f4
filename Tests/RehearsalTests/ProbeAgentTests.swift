import Foundation
import Netfilter
import Rehearsal
import Testing

@Suite("The agent's protocol")
struct ProbeAgentTests {
    @Test("a probe is encoded and decoded unchanged, in both families and with or without a source port")
    func roundTrip() throws {
        for (source, target) in [("192.168.1.33", "192.0.2.2"), ("2001:db8::33", "2001:db8:2::2")] {
            for sourcePort in [nil, UInt16(53)] {
                for kind in Probe.Kind.allCases {
                    let probe = Probe(
                        kind, from: try IPAddress(parsing: source), to: try IPAddress(parsing: target), port: 22,
                        sourcePort: sourcePort)
                    #expect(try JSONDecoder().decode(Probe.self, from: JSONEncoder().encode(probe)) == probe)
                }
            }
        }
    }

    @Test("an agent answers every line, reports what it does not understand, and ends with its input")
    func conversation() throws {
        let replies = try converse([
            "no JSON at all", "{\"unheardOf\":{}}", "{\"begin\":{\"ownRun\":false}}",
            "{\"listen\":{\"addresses\":[\"127.0.0.1; reboot\"],\"tcp\":[22],\"udp\":[]}}", "{\"deafen\":{}}",
        ])
        #expect(replies.count == 5)
        let kinds = replies.map { $0.hasPrefix("{\"failed\"") ? "failed" : $0 }
        #expect(kinds == ["failed", "failed", "{\"done\":{}}", "failed", "{\"done\":{}}"])
    }

    @Test("a probe that cannot be sent says why")
    func unsent() throws {
        // An address that this machine does not have (RFC 5737).
        let probe = "{\"kind\":\"udp\",\"source\":\"203.0.113.77\",\"target\":\"127.0.0.1\",\"port\":9}"
        let replies = try converse(["{\"probe\":{\"probes\":[\(probe)],\"patience\":50}}"])
        #expect(replies.count == 1)
        #expect(replies[0].contains("unsent"))
        #expect(replies[0].contains("bind: Cannot assign requested address"))
    }

    private func converse(_ lines: [String]) throws -> [String] {
        let (requests, replies) = (Pipe(), Pipe())
        requests.fileHandleForWriting.write(Data(lines.map { $0 + "\n" }.joined().utf8))
        try requests.fileHandleForWriting.close()
        let status = ProbeAgent.run(
            input: requests.fileHandleForReading.fileDescriptor, output: replies.fileHandleForWriting.fileDescriptor)
        #expect(status == 0)
        try replies.fileHandleForWriting.close()
        let text = String(decoding: try replies.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        return text.split(separator: "\n").map(String.init)
    }
}
