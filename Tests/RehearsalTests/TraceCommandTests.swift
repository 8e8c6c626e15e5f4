import Foundation
import TestSupport
import Testing

@Suite("latchkey trace", .kernel, .inTurn)
struct TraceCommandTests {
    @Test("it shows the rule that allows a packet, and the one that blocks another")
    func trace() async throws {
        let root = try TemporaryFolder()
        let file = try root.write(RehearseCommandTests.answers, to: "answers.yaml")
        let machine = try await NetworkNamespace()
        defer { machine.close() }
        let open = try await Latchkey.run(
            ["trace", "198.51.100.9", "tcp/443", "--answers", file], root: root, in: machine)
        #expect(open.output.contains("=> -A INPUT -p tcp"))
        #expect(open.output.contains("Allowed."))
        let closed = try await Latchkey.run(
            ["trace", "2001:db8:bad::9", "tcp/3306", "--answers", file], root: root, in: machine)
        let said = closed.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(said.contains(#"=> -A INPUT -m comment --comment "latchkey: drop all else" -j DROP"#), "\(said)")
        #expect(closed.output.contains("Blocked."))
        let report = try await Latchkey.run(
            ["trace", "2001:db8:bad::9", "tcp/3306", "--answers", file, "--json"], root: root, in: machine)
        let object = try JSONSerialization.jsonObject(with: Data(report.stdout)) as? [String: Any]
        #expect(object?["observed"] as? String == "drop")
        #expect((object?["decision"] as? String)?.contains("latchkey: drop all else") == true)
        #expect((object?["steps"] as? [Any])?.isEmpty == false)
    }

    @Test(
        "it accepts one packet from an address that can be a source",
        arguments: [
            ("198.51.100.9", "sctp/1"), ("198.51.100.9", "tcp/22-25"), ("127.0.0.1", "tcp/22"), ("::1", "ping"),
            ("fe80::1", "ping"), ("0.0.0.0", "ping"), ("224.0.0.1", "ping"), ("255.255.255.255", "ping"),
            ("::ffff:9.9.9.9", "ping"), ("ff02::1", "ping"), ("::", "ping"),
        ])
    func notTraced(from: String, packet: String) async throws {
        let root = try TemporaryFolder()
        let file = try root.write(RehearseCommandTests.answers, to: "answers.yaml")
        let wrong = try await Latchkey.run(["trace", from, packet, "--answers", file], root: root)
        #expect(wrong.status == 64, "\(wrong.errors)")
    }
}
