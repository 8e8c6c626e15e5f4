import Netfilter
import Testing

@testable import Commands

@Suite("Sources that other programs' tables name")
struct NamedSourcesTests {
    private static func sources(_ rules: [String], sets: [NFTable.Part] = [], in table: NFTable.Name? = nil) -> [String]
    {
        let chain = NFTable.Part(
            "chain", "in", lines: ["type filter hook input priority filter; policy accept;"] + rules)
        let table = NFTable(table ?? NFTable.Name("inet", "bans"), parts: sets + [chain])
        return table.sourcesInOtherRules.map(\.description)
    }

    @Test(
        "are read from a rule's text",
        arguments: [
            ("ip saddr 198.51.100.7 tcp dport 22 drop", ["198.51.100.7"]),
            ("iif \"eth0\" ip6 saddr 2001:db8::/64 drop", ["2001:db8::/64"]),
            (
                "ip saddr { 203.0.113.0/24, 198.51.100.4-198.51.100.9 } drop",
                [
                    "203.0.113.0/24", "198.51.100.4", "198.51.100.9",
                ]
            ),
            ("ip saddr . tcp dport { 198.51.100.7 . 22, 198.51.100.8 . 80 } drop", ["198.51.100.7", "198.51.100.8"]),
            ("ip saddr vmap { 198.51.100.7 : drop, 198.51.100.8 : jump web }", ["198.51.100.7", "198.51.100.8"]),
            ("ip saddr != 198.51.100.7 drop", []), ("ip saddr & 0.0.0.255 == 0.0.0.7 drop", []),
            ("ether saddr 02:00:00:00:00:01 drop", []), ("ip daddr 192.0.2.2 drop", []),
            ("ip saddr 0.0.0.0/0 accept", []), ("tcp dport 22 log prefix \"ip saddr \" drop", []),
            ("ip saddr", []), ("ip saddr @none drop", []), ("ip saddr {", []), ("ip saddr .", []),
        ])
    func rules(rule: String, named: [String]) { #expect(Self.sources([rule]) == named) }

    @Test("are read from sets and maps, each once; not from latchkey's own table")
    func sets() {
        let set = NFTable.Part(
            "set", "bad",
            lines: [
                "type ipv4_addr", "flags interval,timeout",
                "elements = { 198.51.100.7 timeout 1h expires 59m comment \"x\",",
                "\t     203.0.113.0/24 }",
            ])
        let map = NFTable.Part(
            "map", "ways", lines: ["type ipv6_addr : verdict", "elements = { 2001:db8::7 : drop }"])
        let rules = ["ip saddr @bad drop", "ip saddr @bad tcp dport 22 drop", "ip6 saddr vmap @ways"]
        #expect(
            Self.sources(rules, sets: [set, map]) == ["198.51.100.7", "203.0.113.0/24", "2001:db8::7"])
        #expect(Self.sources(rules, sets: [set, map], in: .latchkey).isEmpty)
    }

    @Test("those of programs that ban for a while are known, but not for good")
    func bans() throws {
        let chain = NFTable.Part("chain", "in", lines: ["ip saddr 198.51.100.7 drop"])
        let bans = NFTable.Part("chain", "f2b-sshd", lines: ["ip saddr 203.0.113.9 reject"])
        for (name, count) in [("f2b-table", 0), ("filter", 1)] {
            let table = NFTable(NFTable.Name("inet", name), parts: [chain, bans])
            #expect(table.sourcesInOtherRules.count == 2)
            #expect(table.sourcesForGood.count == count)
        }
        let rules = try RuleSet(
            parsing: "*filter\n:INPUT ACCEPT [0:0]\n:f2b-sshd - [0:0]\n-A INPUT -s 198.51.100.0/24 -j DROP\n"
                + "-A f2b-sshd -s 203.0.113.9/32 -j DROP\n-A INPUT ! -s 192.0.2.0/24 -j DROP\nCOMMIT\n", file: "rules")
        #expect(rules.sourcesInOtherRules.map(\.description) == ["198.51.100.0/24", "203.0.113.9"])
        #expect(rules.sourcesForGood.map(\.description) == ["198.51.100.0/24"])
    }

    @Test("of a long set, some are enough")
    func long() {
        let elements = (0..<5000).map { "10.0.\($0 / 250).\($0 % 250)" }.joined(separator: ",\n")
        let lines = "elements = { \(elements) }".split(separator: "\n").map(String.init)
        let named = Self.sources(["ip saddr @bad drop"], sets: [NFTable.Part("set", "bad", lines: lines)])
        #expect(named.count == 1000)
    }
}
