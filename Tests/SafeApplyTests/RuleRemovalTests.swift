import Netfilter
import Testing

@testable import SafeApply

@Suite("The removal of latchkey's rules, without a kernel")
struct RuleRemovalTests {
    private static func set(_ lines: String) throws -> RuleSet {
        try RuleSet(dumped: "*filter\n\(lines)\nCOMMIT\n", file: "test")
    }

    private static let own = #"-m comment --comment "latchkey: loopback" -j ACCEPT"#

    /// A kept file with chains of its own and of Docker's.
    private static let kept = """
        :INPUT DROP [0:0]
        :FORWARD DROP [0:0]
        :OUTPUT ACCEPT [0:0]
        :DOCKER-USER - [0:0]
        :empty - [0:0]
        :mine - [0:0]
        :shared - [0:0]
        -A INPUT -i lo -j ACCEPT
        -A INPUT -j mine
        -A FORWARD -j DOCKER-USER
        -A mine -j shared
        -A shared -s 203.0.113.7/32 -j DROP
        """
    private static let live = """
        :INPUT DROP [5:6]
        :FORWARD DROP [0:0]
        :OUTPUT ACCEPT [0:0]
        :DOCKER-USER - [0:0]
        :empty - [0:0]
        :f2b-sshd - [0:0]
        :mine - [0:0]
        :shared - [0:0]
        -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
        -A INPUT -i lo -j ACCEPT
        -A INPUT -p tcp -m tcp --dport 9 -j RETURN
        -A INPUT -j mine
        -A FORWARD -j DOCKER-USER
        -A FORWARD -i eth9 -j shared
        -A DOCKER-USER -p tcp -m tcp --dport 80 -m comment --comment "latchkey: web" -j RETURN
        -A f2b-sshd -j RETURN
        -A mine -j shared
        -A shared -s 203.0.113.7/32 -j DROP
        -A shared -s 203.0.113.8/32 -j DROP
        """
    private static let rest = """
        :INPUT ACCEPT [0:0]
        :FORWARD DROP [0:0]
        :OUTPUT ACCEPT [0:0]
        :DOCKER-USER - [0:0]
        :f2b-sshd - [0:0]
        :shared - [0:0]
        -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
        -A INPUT -p tcp -m tcp --dport 9 -j RETURN
        -A FORWARD -j DOCKER-USER
        -A FORWARD -i eth9 -j shared
        -A f2b-sshd -j RETURN
        -A shared -s 203.0.113.8/32 -j DROP
        """

    private static func plan() throws -> RuleSet { RuleRemoval.plan(kept: try set(kept), live: try set(live)) }

    @Test("what the record names goes, in the kernel and in files; what others made or use stays")
    func rest() throws {
        let (plan, live, rest) = (try Self.plan(), try Self.set(Self.live), try Self.set(Self.rest))
        #expect(RuleRemoval(plan).rest(of: live).normalized() == rest.normalized())
        #expect(RuleRemoval(plan).concerns(live) && !RuleRemoval(plan).concerns(rest))
        let step = PermanentRules(WantedRules(plan, scope: .removal), insteadOf: live)
        let after = SimulatedKernel.loaded(step.loading(over: live).text, onto: live)
        #expect(after.normalized() == rest.normalized())
        #expect(step.differences(after).isEmpty && !step.differences(live).isEmpty)
        #expect(step.loading(over: after).text.isEmpty, "the second time changes nothing")
        // The plan's text is all that the guard gets.
        #expect(try RuleSet(dumped: plan.text, file: "plan").normalized() == plan.normalized())
    }

    @Test("the trial lets the rules that stay decide, with a gate in each chain that loses rules and is still used")
    func trial() throws {
        let (plan, live) = (try Self.plan(), try Self.set(Self.live))
        let trial = Trial(of: plan, scope: .removal, previous: live, gate: Gate(.recent, .ipv4))
        let pending = SimulatedKernel.loaded(trial.loading(over: live).text, onto: live)
        #expect(trial.isComplete(in: pending))
        let table = try #require(pending["filter"])
        let gates = table.rules.filter(\.isGate).filter { $0.jumpsTo != nil }
        #expect(gates.map(\.chain).sorted() == ["DOCKER-USER", "INPUT", "shared"])
        let input = table.rules(in: "INPUT")
        #expect(input[0].jumpsTo == "f2b-sshd" && input[1].isGate && input.count == 5)
        let first = try #require(input[1].jumpsTo)
        // RETURN would lead to the policy of INPUT, which still drops.
        let inner = try #require(table.rules(in: first).first?.jumpsTo)
        #expect(table.rules(in: inner).map(\.body) == ["-p tcp -m tcp --dport 9 -j RETURN"])
        #expect(table.rules(in: first).last?.target == .accept)
        let shared = try #require(gates.first { $0.chain == "shared" }?.jumpsTo)
        #expect(table.rules(in: shared).map(\.body) == ["-s 203.0.113.8/32 -j DROP"])
        #expect(pending.withoutTrial.normalized() == live.normalized())
        // Kept beneath the trial, which then goes.
        let step = PermanentRules(WantedRules(plan, scope: .removal), insteadOf: live)
        let kept = SimulatedKernel.loaded(step.loading(over: pending).text, onto: pending)
        #expect(step.differences(kept).isEmpty)
        #expect(kept.withoutTrial.normalized() == (try Self.set(Self.rest)).normalized())
    }

    @Test(
        "a half-made removal is taken back, and what others changed meanwhile stays changed", arguments: [false, true])
    func back(hasTrial: Bool) throws {
        let (plan, live) = (try Self.plan(), try Self.set(Self.live))
        let trial = Trial(of: plan, scope: .removal, previous: live, gate: Gate(.recent, .ipv4))
        let pending = hasTrial ? SimulatedKernel.loaded(trial.loading(over: live).text, onto: live) : live
        let step = PermanentRules(WantedRules(plan, scope: .removal), insteadOf: live)
        let kept = SimulatedKernel.loaded(step.loading(over: pending).text, onto: pending)
        func back(_ kept: RuleSet) -> RuleSet {
            let wanted = WantedRules(previous: live, plan: plan, scope: .removal, live: kept)
            return SimulatedKernel.loaded(PermanentRules(wanted, insteadOf: plan).loading(over: kept).text, onto: kept)
                .withoutTrial.normalized()
        }
        #expect(back(kept) == live.normalized())
        #expect(back(pending) == live.normalized(), "nothing was removed yet")
        let changed = SimulatedKernel.loaded(
            "*filter\n-D INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n-A shared -s 203.0.113.9/32 -j DROP\nCOMMIT\n",
            onto: kept)
        let rules = back(changed)["filter"]?.rules ?? []
        #expect(!rules.contains { $0.jumpsTo == "f2b-sshd" })
        #expect(rules.filter { $0.chain == "shared" }.count == 3)
    }

    @Test(
        "a policy that drops stays only where another firewall accepts replies",
        arguments: [
            ("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", ChainPolicy.accept),
            ("-A INPUT -i wg0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", .accept),
            ("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", .drop),
            ("-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT", .drop),
            (":ufw-in - [0:0]\n-A INPUT -j ufw-in\n-A ufw-in -m conntrack --ctstate ESTABLISHED -j ACCEPT", .drop),
        ])
    func policy(others: String, expected: ChainPolicy) throws {
        let live = try Self.set(":INPUT DROP [0:0]\n\(others)\n-A INPUT -i lo \(Self.own)")
        for kept in [nil, try Self.set(":INPUT ACCEPT [0:0]\n-A INPUT -i lo \(Self.own)")] {
            let removal = RuleRemoval(RuleRemoval.plan(kept: kept, live: live))
            #expect(removal.rest(of: live)["filter"]?.chain("INPUT")?.policy == expected)
        }
        // Where latchkey has no rules, it changes no policy.
        let others = try Self.set(":INPUT DROP [0:0]\n\(others)")
        #expect(!RuleRemoval(RuleRemoval.plan(kept: nil, live: others)).concerns(others))
    }

    @Test("of a table of nftables, what others added and what they need stays")
    func table() throws {
        func table(_ text: String) throws -> NFTable { try #require(try NFTable.tables(in: text).first) }
        let head = "\t\ttype filter hook input priority filter; policy drop;\n"
        let kept = try table(
            "table inet t {\n\tset bad {\n\t\ttype ipv4_addr\n\t}\n\tset used {\n\t\ttype ipv4_addr\n\t}\n"
                + "\tchain input {\n\(head)\t\tip saddr @bad drop\n\t\tjump ssh\n\t}\n"
                + "\tchain ssh {\n\t\ttcp dport 22 accept\n\t}\n}\n")
        #expect(kept.removing(kept).parts.isEmpty)
        var live = kept
        live.parts.append(NFTable.Part("chain", "late", lines: ["ip saddr @used drop"]))
        #expect(live.removing(kept).parts.map(\.name) == ["used", "late"])
        live.parts[2].lines.append("tcp dport 9 drop")
        let rest = live.removing(kept)
        #expect(rest.parts.map(\.name) == ["used", "input", "late"])
        #expect(rest.part("chain", "input")?.policy == .accept)
        #expect(NFTable(.latchkey, parts: live.parts).removing(NFTable(.latchkey)).parts.isEmpty)
    }
}
