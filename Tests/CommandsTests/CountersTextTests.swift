import Netfilter
import Rehearsal
import Testing

@testable import Commands

@Suite("Counters by answer")
struct CountersTextTests {
    private static func rule(_ packets: Int, _ comment: String, _ target: String = "ACCEPT") -> String {
        "[\(packets):\(packets * 60)] -A INPUT -m comment --comment \"\(comment)\" -j \(target)\n"
    }

    private static func rules(_ policy: String, _ rules: String) throws -> RuleSet {
        try RuleSet(parsing: "*filter\n:INPUT \(policy) [9:900]\n\(rules)COMMIT\n", file: "test")
    }

    @Test("rules with the same comment are summed over both families; other programs' rules and the log are left out")
    func iptables() throws {
        let ipv4 = try Self.rules(
            "ACCEPT",
            Self.rule(1_000, "latchkey: replies to what this server began") + Self.rule(5, "latchkey: loopback")
                + Self.rule(1, "latchkey: admins 192.0.2.9") + Self.rule(2, "latchkey: admins 192.0.2.10")
                + Self.rule(3, "other: web") + "[8:80] -A INPUT -p tcp -j ACCEPT\n"
                + Self.rule(4, "latchkey: services web, mail; port 8080/tcp") + Self.rule(6, "latchkey: ping limited")
                + Self.rule(7, "latchkey: log", "LOG") + Self.rule(20, "latchkey: drop all else", "DROP"))
        let ipv6 = try Self.rules(
            "ACCEPT",
            Self.rule(10, "latchkey: replies to what this server began") + Self.rule(2, "latchkey: IPv6 errors")
                + Self.rule(3, "latchkey: IPv6 neighbours and routers")
                + Self.rule(30, "latchkey: drop all else", "DROP"))
        let counters = try #require(AnswerCounters(ofRules: [ipv4, ipv6]))
        #expect(counters.dropped == 50)
        #expect(
            counters.text == """
                Packets since these rules were loaded: replies 1010, loopback 5, admins 3,
                  web+mail+8080/tcp 4, ping 6, IPv6 control 5, dropped 50.

                """)
        #expect(counters.reported.first { $0.answer == "admins" }?.bytes == 180)
        #expect(counters.reported.map(\.answer).contains("services web, mail; port 8080/tcp"))
    }

    @Test("published ports are one number, and answers that share a rule stay together")
    func published() throws {
        let rules = try Self.rules(
            "ACCEPT",
            Self.rule(4, "latchkey: ssh; services web, dns; port 7000/udp") + Self.rule(50, "latchkey: published ports")
                + Self.rule(3, "latchkey: published ports, admins 192.0.2.9")
                + Self.rule(2, "latchkey: published ports, services web, dns")
                + Self.rule(40, "latchkey: published ports, known connections")
                + Self.rule(5, "latchkey: published ports, drop all else", "DROP"))
        let counters = try #require(AnswerCounters(ofRules: [rules]))
        #expect(
            counters.text == """
                Packets since these rules were loaded: ssh+web+dns+7000/udp 4, published ports
                  5, dropped 5.

                """)
        #expect(counters.reported.contains { $0.answer == "published ports, admins" && $0.packets == 3 })
    }

    @Test("where no rule drops, the policy does, if latchkey's rules are there")
    func policy() throws {
        let replace = try Self.rules("DROP", Self.rule(1, "latchkey: ssh"))
        #expect(AnswerCounters(ofRules: [replace])?.dropped == 9)
        let keep = try Self.rules("DROP", Self.rule(1, "latchkey: drop all else", "DROP"))
        #expect(AnswerCounters(ofRules: [keep])?.dropped == 1)
        let open = try Self.rules("ACCEPT", Self.rule(1, "latchkey: ssh"))
        #expect(AnswerCounters(ofRules: [open])?.dropped == 0)
        let other = try Self.rules("DROP", Self.rule(1, "ssh"))
        #expect(AnswerCounters(ofRules: [other]) == nil)
    }

    @Test("in a listing of nft only latchkey's own table counts")
    func nftables() throws {
        func rule(_ table: String, _ comment: String, _ packets: Int, _ verdict: String) -> String {
            """
            {"rule": {"family": "inet", "table": "\(table)", "chain": "input", "handle": 4, "comment": "\(comment)",
              "expr": [{"counter": {"packets": \(packets), "bytes": \(packets * 60)}}, {"\(verdict)": null}]}}
            """
        }
        let rules = [
            rule("latchkey", "latchkey: ssh", 7, "accept"), rule("other", "latchkey: ssh", 100, "accept"),
            rule("latchkey", "latchkey: drop all else", 11, "drop"), rule("latchkey", "mine", 5, "drop"),
            rule("latchkey", "latchkey: drop all else", 2, "drop"),
            rule("latchkey", "latchkey: IPv6 is off", 3, "drop"),
        ]
        let json = "{\"nftables\": [{\"metainfo\": {}}, \(rules.joined(separator: ","))]}"
        let counters = try AnswerCounters(nftables: Array(json.utf8))
        #expect(counters.counts.map(\.packets) == [7, 13, 3])
        #expect(counters.dropped == 16)
        #expect(throws: (any Error).self) { try AnswerCounters(nftables: Array("Error".utf8)) }
    }
}
