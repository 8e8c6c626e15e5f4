import Netfilter
import Testing

@testable import SafeApply

@Suite("The pending form of rules and its permanent one")
struct ExpiryTests {
    private static let until: Int64 = 2_000_000_000
    private static let time = "-m time --datestop 2033-05-18T03:33:20"

    /// A rule, and whether it expires.
    private static let rules: [(rule: String, expires: Bool)] = [
        ("-A INPUT -i lo -j ACCEPT", false),
        ("-A INPUT -s 192.0.2.1/32 -j RETURN", false),
        ("-A INPUT -p tcp -m tcp --dport 80 -j LOG --log-prefix \"web \"", false),
        ("-A INPUT -j MARK --set-xmark 0x1/0xffffffff", false),
        ("-A INPUT -m comment --comment counts", false),
        ("-A INPUT -s 192.0.2.2/32 -j DROP", true),
        ("-A INPUT -s 192.0.2.3/32 -j REJECT --reject-with icmp-port-unreachable", true),
        ("-A INPUT -p tcp -m tcp --dport 23 -j NFQUEUE --queue-num 5", true),
        ("-A INPUT -p tcp -m tcp --dport 24 -j TARPIT --tarpit", true),
        ("-A INPUT -p tcp -m tcp --dport 25 -j doors", true),
        ("-A INPUT -p tcp -m tcp --dport 26 -g doors", true),
        ("-A doors -s 192.0.2.4/32 -j DROP", false),
        ("-A doors -j RETURN", false),
    ]
    private static let nat: [(rule: String, expires: Bool)] = [
        ("-A PREROUTING -p tcp -m tcp --dport 22 -j REDIRECT --to-ports 9", true),
        ("-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1", true),
        ("-A POSTROUTING -o eth0 -j MASQUERADE", false),
        ("-A POSTROUTING -o eth1 -j SNAT --to-source 192.0.2.9", false),
    ]

    private static let plan = set(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\(lines(nat))COMMIT\n"
            + "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:doors - [0:0]\n"
            + "\(lines(rules))COMMIT\n")

    @Test("in the kernel's own chains whatever may stop a packet expires, jumps too; nothing else is changed")
    func forms() {
        let pending = Expiry.pending(Self.plan, until: Self.until)
        for (table, rules) in [("nat", Self.nat), ("filter", Self.rules)] {
            let found = pending[table]?.rules.filter { !Expiry.isLast($0) }.map(\.text)
            let wanted = rules.map { rule, expires in
                guard expires, let target = rule.firstRange(of: #/ -[jg] /#) else { return rule }
                return rule[..<target.lowerBound] + " \(Self.time)" + rule[target.lowerBound...]
            }
            #expect(found == wanted)
        }
        #expect(pending["filter"]?.chains.allSatisfy { $0.policy != .drop } == true)
        #expect(
            pending["filter"]?.rules.filter(Expiry.isLast).map(\.body)
                == Array(
                    repeating:
                        "\(Self.time) -m comment --comment \"latchkey: pending, drops what no rule let in\" -j DROP",
                    count: 2))
    }

    @Test("the permanent form is made of the pending one")
    func inverse() {
        let pending = Expiry.pending(Self.plan, until: Self.until)
        #expect(Expiry.permanent(of: pending, until: Self.until).normalized() == Self.plan.normalized())
        let input = Expiry.permanent(Self.plan, scope: .tables, live: pending, until: Self.until)
        #expect(RuleEdits.differences(live: Self.plan, from: input).isEmpty)
        let later = Expiry.moved(Self.plan, scope: .tables, live: pending, from: Self.until, to: Self.until + 60)
        let moved = Expiry.pending(Self.plan, until: Self.until + 60)
        #expect(RuleEdits.differences(live: moved, from: later).isEmpty)
    }

    @Test("keeping: a ban lifted meanwhile stays lifted, a flushed chain comes back")
    func liftedBan() {
        let pending = Expiry.pending(Self.plan, until: Self.until)
        func kept(_ without: (Rule) -> Bool) -> RuleSet {
            var live = pending
            let table = pending["filter"] ?? Table("filter", chains: [])
            live["filter"] = Table("filter", chains: table.chains, rules: table.rules.filter { !without($0) })
            let input = Expiry.permanent(Self.plan, scope: .tables, live: live, until: Self.until)
            return Self.set(input.text)
        }
        let lifted = kept { $0.text == "-A doors -s 192.0.2.4/32 -j DROP" }["filter"]?.rules.map(\.withoutCounters.text)
        #expect(lifted == Self.rules.map(\.rule).filter { $0 != "-A doors -s 192.0.2.4/32 -j DROP" })
        for chain in ["INPUT", "doors"] {
            #expect(kept { $0.chain == chain }.normalized() == Self.plan.normalized(), "\(chain)")
        }
    }

    @Test("put off, the expiry of a plan in INPUT touches no rule of another program there")
    func movedInput() {
        let plan = Self.set(
            "*filter\n:INPUT DROP [0:0]\n-A INPUT -j DROP -m comment --comment \"latchkey: x\"\nCOMMIT\n")
        var live = Expiry.pending(plan, until: Self.until)
        let ban = Rule("INPUT", [.words(["-s", "192.0.2.5/32"])], target: .drop)
        let pending = InputChain(of: live).rules
        live["filter"]?.replaceChain("INPUT", policy: .accept, rules: [ban] + pending)
        let input = Expiry.moved(plan, scope: .inputChain, live: live, from: Self.until, to: Self.until + 60)
        #expect(input.inputChain?.rules.first?.withoutCounters == ban)
        #expect(input.inputChain?.policy == .accept)
    }

    // MARK: Written by hand

    private static let written = """
        # By hand.
        *mangle
        -P INPUT DROP
        COMMIT

        *filter
        -P INPUT DROP
        :trap -
        -I INPUT 1 -p tcp --dport 23 -j REJECT
        -A INPUT -s 192.0.2.7 --jump DROP -m comment --comment "off with them"
        -D INPUT -p tcp --dport 23 -j REJECT
        -A INPUT -j trap
        -A trap -j DROP
        COMMIT

        """

    @Test("rules written by hand expire from the first load on, whatever commands they are written with")
    func byHand() {
        let text = RuleEdits.asWritten(Self.set(Self.written), until: Self.until).text
        for line in [
            "-P INPUT ACCEPT", "-I INPUT 1 -p tcp --dport 23 \(Self.time) -j REJECT",
            "-A INPUT -s 192.0.2.7 \(Self.time) --jump DROP -m comment --comment \"off with them\"",
            "-D INPUT -p tcp --dport 23 \(Self.time) -j REJECT", "-A INPUT \(Self.time) -j trap", "-A trap -j DROP",
        ] {
            #expect(text.contains("\n\(line)\n"), "\(line) is not in \(text)")
        }
        #expect(!text.contains("INPUT DROP"))
    }

    @Test("a complaint about a line of what is loaded names the line of the file", arguments: [nil, Self.until])
    func lines(until: Int64?) {
        let set = Self.set(Self.written)
        let loaded = RuleEdits.asWritten(set, until: until).text.split(
            separator: "\n", omittingEmptySubsequences: false)
        let file = Self.written.split(separator: "\n", omittingEmptySubsequences: false)
        for sought in ["-A trap -j DROP", ":trap", "-D INPUT", "# By hand."] {
            let place = loaded.firstIndex { $0.hasPrefix(sought) } ?? -1
            let wanted = file.firstIndex { $0.hasPrefix(sought) } ?? -1
            #expect(RuleEdits.writtenLine(place + 1, of: set, until: until) == wanted + 1, "\(sought)")
        }
    }

    // MARK: Helpers

    private static func lines(_ rules: [(rule: String, expires: Bool)]) -> String {
        rules.map { $0.rule + "\n" }.joined()
    }

    private static func set(_ text: String) -> RuleSet {
        do { return try RuleSet(parsing: text, file: "test") } catch {
            Issue.record("the test's own rules are not valid: \(error)")
            return RuleSet(tables: [])
        }
    }
}
