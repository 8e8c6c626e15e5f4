import Netfilter
import Testing

@testable import Rehearsal

@Suite("Which rule of nf_tables decided, by the counters")
struct CounterDifferenceTests {
    /// A listing of latchkey's table and of another program's, with these counters.
    private static func rules(
        accepted: Int = 0, replies: Int = 0, dropped: Int = 0, bans: Int = 0, passed: Int = 0, family: Family = .ipv4
    ) throws -> CountedRules {
        func rule(
            _ table: String, _ chain: String, _ handle: Int, _ match: String, _ packets: Int, _ verdict: String
        ) -> String {
            """
            {"rule": {"family": "inet", "table": "\(table)", "chain": "\(chain)", "handle": \(handle),
              "comment": "\(table): \(handle)",
              "expr": [\(match) {"counter": {"packets": \(packets), "bytes": 0}}, {"\(verdict)": null}]}}
            """
        }
        let state =
            #"{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}},"#
        let json = """
            {"nftables": [{"metainfo": {"json_schema_version": 1}},
            {"chain": {"family": "inet", "table": "latchkey", "name": "input", "handle": 1, "type": "filter",
              "hook": "input", "prio": 0, "policy": "drop"}},
            {"chain": {"family": "inet", "table": "latchkey", "name": "trial-input", "handle": 2}},
            {"chain": {"family": "inet", "table": "ban", "name": "early", "handle": 1, "type": "filter",
              "hook": "prerouting", "prio": -150, "policy": "accept"}},
            {"chain": {"family": "inet", "table": "web", "name": "input", "handle": 1, "type": "filter",
              "hook": "input", "prio": -10, "policy": "accept"}},
            {"chain": {"family": "ip6", "table": "six", "name": "input", "handle": 1, "type": "filter",
              "hook": "input", "prio": -20, "policy": "drop"}},
            {"rule": {"family": "inet", "table": "latchkey", "chain": "input", "handle": 10,
              "expr": [{"jump": {"target": "trial-input"}}]}},
            \(rule("latchkey", "trial-input", 11, state, replies, "accept")),
            \(rule("latchkey", "trial-input", 12, "", accepted, "accept")),
            \(rule("latchkey", "trial-input", 13, "", dropped, "drop")),
            \(rule("ban", "early", 20, "", bans, "drop")),
            \(rule("web", "input", 30, "", passed, "accept"))]}
            """
        return NFTablesCounters.rules(try NFTListing(Array(json.utf8)), family) { "rule \($0.handle)" }
    }

    private static func decision(
        _ after: CountedRules, of count: Int = 3, isAccepted: Bool?
    ) throws -> CounterDifference.Decision? {
        CounterDifference(from: try rules(), to: after).decision(of: count, isAccepted: isAccepted)
    }

    @Test("chains come in the order in which a packet passes them, of its family alone")
    func order() throws {
        #expect(try Self.rules().bases.map(\.table) == ["inet ban", "inet web", "inet latchkey"])
        #expect(
            try Self.rules(family: .ipv6).bases.map(\.table) == ["inet ban", "ip6 six", "inet web", "inet latchkey"])
        #expect(try Self.rules().deciding?.table == "inet latchkey")
    }

    @Test("an accept decides in latchkey's table and in no other")
    func accept() throws {
        let own = try Self.decision(Self.rules(accepted: 3, passed: 3), isAccepted: true)
        #expect(own?.text == "table inet latchkey, chain trial-input: rule 12")
        #expect(own?.rule?.isOwned == true)
        #expect(own?.isOfOthers == false)
        #expect(try Self.decision(Self.rules(passed: 3), isAccepted: true) == nil)
    }

    @Test("a drop decides in every table")
    func drop() throws {
        #expect(
            try Self.decision(Self.rules(dropped: 3), isAccepted: false)?.text
                == "table inet latchkey, chain trial-input: rule 13")
        let other = try Self.decision(Self.rules(bans: 3), isAccepted: false)
        #expect(other?.text == "table inet ban, chain early: rule 20")
        #expect(other?.isOfOthers == true)
        #expect(other?.isAccepted == false)
    }

    @Test("nobody is named where two rules dropped, one was accepted and dropped, or nothing was counted")
    func unknown() throws {
        #expect(try Self.decision(Self.rules(dropped: 2, bans: 1), isAccepted: false) == nil)
        #expect(try Self.decision(Self.rules(accepted: 1, bans: 1), of: 1, isAccepted: nil) == nil)
        #expect(try Self.decision(Self.rules(), isAccepted: false) == nil)
    }

    @Test("the rule for replies counts the later packets of a conversation, and decides only if no other rule did")
    func replies() throws {
        let both = try Self.decision(Self.rules(accepted: 3, replies: 9), isAccepted: true)
        #expect(both?.comment == "latchkey: 12")
        #expect(try Self.decision(Self.rules(replies: 9), isAccepted: true)?.comment == "latchkey: 11")
    }
}

@Suite("What a rule of nf_tables does, by nft's JSON")
struct NFTListingTests {
    private static func rule(_ expressions: String) throws -> NFTListing.Rule {
        let json = """
            {"nftables": [{"rule": {"family": "inet", "table": "t", "chain": "c", "handle": 1,
            "expr": [\(expressions)]}}]}
            """
        return try #require(try NFTListing(Array(json.utf8)).nftables.first?.rule)
    }

    @Test(
        "every verdict is known, that of iptables' targets too",
        arguments: [
            (#"{"accept": null}"#, CountedRule.Verdict.accept), (#"{"drop": null}"#, .drop),
            (#"{"reject": {"type": "tcp reset"}}"#, .reject), (#"{"reject": null}"#, .reject),
            (#"{"xt": {"type": "target", "name": "REJECT"}}"#, .reject),
            (#"{"jump": {"target": "web"}}"#, .jump("web")),
            (#"{"goto": {"target": "web"}}"#, .goto("web")), (#"{"return": null}"#, .return),
            (#"{"xt": null}"#, .other),
        ])
    func verdicts(expression: String, verdict: CountedRule.Verdict) throws {
        #expect(try Self.rule(#"{"counter": {"packets": 7, "bytes": 9}},"# + expression).verdict == verdict)
    }

    @Test("types of ICMPv6, by name, number, set and range")
    func icmpv6() throws {
        let left = #"{"payload": {"protocol": "icmpv6", "field": "type"}}"#
        func types(_ right: String) throws -> [UInt8] {
            try Self.rule(#"{"match": {"op": "==", "left": \#(left), "right": \#(right)}}"#).icmpv6Types
        }
        #expect(try types(#""nd-neighbor-solicit""#) == [135])
        #expect(try types("143") == [143])
        #expect(try types(#"{"set": ["nd-router-advert", "time-exceeded"]}"#) == [134, 3])
        #expect(try types(#"{"range": ["nd-router-solicit", "nd-neighbor-advert"]}"#) == [133, 134, 135, 136])
    }

    @Test("the chains that a map may send a packet to")
    func branches() throws {
        let map = """
            {"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["established", {"accept": null}],
            ["new", {"jump": {"target": "fresh"}}], ["related", {"goto": {"target": "kin"}}]]}}}
            """
        #expect(try Self.rule(map).branches == ["fresh", "kin"])
    }
}
