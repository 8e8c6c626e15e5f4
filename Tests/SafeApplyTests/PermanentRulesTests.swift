import Netfilter
import TestSupport
import Testing

@testable import SafeApply

@Suite("The step to permanent rules and back, without a kernel")
struct PermanentRulesTests {
    private static func set(_ lines: String) throws -> RuleSet {
        try RuleSet(dumped: "*filter\n\(lines)\nCOMMIT\n", file: "test")
    }

    private static let plan = """
        :INPUT ACCEPT [0:0]
        -A INPUT -i lo -m comment --comment "latchkey: loopback" -j ACCEPT
        -A INPUT -m comment --comment "latchkey: drop all else" -j DROP
        """
    private static let before = """
        :INPUT ACCEPT [7:8]
        :FORWARD DROP [0:0]
        :f2b-sshd - [0:0]
        :late - [0:0]
        -A INPUT -s 10.0.0.0/8 -j ACCEPT
        -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
        -A INPUT -p tcp -m tcp --dport 9 -j REJECT --reject-with tcp-reset
        -A INPUT -j late
        -A f2b-sshd -j RETURN
        """

    private static func step(_ scope: ChangeScope) throws -> PermanentRules {
        PermanentRules(WantedRules(try set(plan), scope: scope), insteadOf: try set(before))
    }

    private static func input(_ set: RuleSet) -> [String] { set["filter"]?.rules(in: "INPUT").map(\.body) ?? [] }

    @Test("keep: rules that belong to no program are removed, jumps stay first, the policy stays")
    func keep() throws {
        let live = try Self.set(Self.before)
        let loading = try Self.step(.inputChain).loading(over: live)
        #expect(!loading.text.contains("f2b-sshd") && !loading.text.contains(":INPUT"))
        let after = SimulatedKernel.loaded(loading.text, onto: live)
        #expect(
            Self.input(after) == [
                "-p tcp -m multiport --dports 22 -j f2b-sshd", "-j late",
                "-i lo -m comment --comment \"latchkey: loopback\" -j ACCEPT",
                "-m comment --comment \"latchkey: drop all else\" -j DROP",
            ])
        #expect(try Self.step(.inputChain).differences(after).isEmpty)
        #expect(!(try Self.step(.inputChain).differences(live).isEmpty))
        #expect(try Self.step(.inputChain).loading(over: after).text.isEmpty, "the second load changes nothing")
    }

    @Test("rules added meanwhile stay where their effect is the same, even if they could not be rewritten")
    func additions() throws {
        let odd = "-p tcp -m tcp --dport 22 -m hashlimit --hashlimit-above 30/min --hashlimit-name ssh guard -j DROP"
        let live = try Self.set(
            Self.before.replacing("-A INPUT -s 10.0.0.0/8", with: "-A INPUT \(odd)\n-A INPUT -s 10.0.0.0/8")
                + "\n-A INPUT -p udp -m udp --dport 5353 -j ACCEPT")
        for scope in ChangeScope.allCases {
            let loading = try Self.step(scope).loading(over: live)
            #expect(!loading.text.contains("hashlimit"))
            let after = SimulatedKernel.loaded(loading.text, onto: live)
            #expect(Self.input(after).first == odd.replacing("ssh guard", with: "\"ssh guard\""))
            #expect(Self.input(after).last == "-p udp -m udp --dport 5353 -j ACCEPT")
            #expect(try Self.step(scope).differences(after).isEmpty)
        }
    }

    @Test("replace: all other rules and chains are removed, except chains that a program created meanwhile")
    func replace() throws {
        let live = try Self.set(
            Self.before.replacing(":late", with: ":new - [0:0]\n:late")
                + "\n-A INPUT -j new\n-A new -s 203.0.113.9/32 -j DROP\n-A new -j late")
        let after = SimulatedKernel.loaded(try Self.step(.tables).loading(over: live).text, onto: live)
        #expect(after["filter"]?.chain("f2b-sshd") == nil)
        #expect(after["filter"]?.chain("new") != nil && after["filter"]?.chain("late") != nil)
        #expect(after["filter"]?.chain("FORWARD")?.policy == .accept)
        #expect(Self.input(after).contains("-j new"))
    }

    @Test("the jumps of a manager that is taken over go, and a rollback brings them back while its chains exist")
    func takeOver() throws {
        let before = try Self.set(
            """
            :INPUT DROP [0:0]
            :f2b-sshd - [0:0]
            :ufw-before-input - [0:0]
            -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
            -A INPUT -j ufw-before-input
            """)
        let plan = try Self.set(Self.plan)
        let step = PermanentRules(WantedRules(plan, scope: .inputChain, taking: ["ufw"]), insteadOf: before)
        let kept = SimulatedKernel.loaded(step.loading(over: before).text, onto: before)
        #expect(!Self.input(kept).contains { $0.contains("ufw") })
        #expect(Self.input(kept).first == "-p tcp -m multiport --dports 22 -j f2b-sshd")
        #expect(step.differences(kept).isEmpty && !step.differences(before).isEmpty)
        func back(_ live: RuleSet) -> [String] {
            let wanted = WantedRules(
                previous: before, plan: plan, scope: .inputChain, live: live, taking: ["ufw"])
            return Self.input(
                SimulatedKernel.loaded(PermanentRules(wanted, insteadOf: plan).loading(over: live).text, onto: live))
        }
        #expect(back(kept) == Self.input(before))
        // It runs again, and has put its jump where it puts it.
        let again = SimulatedKernel.loaded("*filter\n-A INPUT -j ufw-before-input\nCOMMIT\n", onto: kept)
        #expect(back(again) == Self.input(before))
        // It did not start again: a jump to a chain that is gone cannot be loaded.
        let without = SimulatedKernel.loaded("*filter\n-X ufw-before-input\nCOMMIT\n", onto: kept)
        #expect(back(without) == ["-p tcp -m multiport --dports 22 -j f2b-sshd"])
    }

    @Test("the rollback restores the previous rules, keeps what others added, and respects what they removed")
    func back() throws {
        let plan = try Self.set(Self.plan)
        let before = try Self.set(Self.before)
        for scope in ChangeScope.allCases {
            let kept = SimulatedKernel.loaded(try Self.step(scope).loading(over: before).text, onto: before)
            let wanted = WantedRules(previous: before, plan: plan, scope: scope, live: kept)
            let again = SimulatedKernel.loaded(
                PermanentRules(wanted, insteadOf: plan).loading(over: kept).text, onto: kept)
            #expect(again.normalized() == before.normalized(), "\(scope)")
        }
        let kept = SimulatedKernel.loaded(try Self.step(.inputChain).loading(over: before).text, onto: before)
        let fewer = SimulatedKernel.loaded(
            "*filter\n-D INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\nCOMMIT\n", onto: kept)
        let wanted = WantedRules(previous: before, plan: plan, scope: .inputChain, live: fewer)
        let again = SimulatedKernel.loaded(
            PermanentRules(wanted, insteadOf: plan).loading(over: fewer).text, onto: fewer)
        #expect(!Self.input(again).contains { $0.contains("f2b-sshd") })
        #expect(Self.input(again).count == 3)
    }

    @Test("a rollback beneath the trial does not repeat the jumps ahead of the gate")
    func backBeneathTrial() throws {
        let plan = try Self.set(Self.plan)
        let before = try Self.set(
            ":INPUT ACCEPT [0:0]\n:f2b-sshd - [0:0]\n-A INPUT -p tcp -j f2b-sshd\n-A INPUT -s 10.0.0.0/8 -j ACCEPT")
        let trial = Trial(of: plan, scope: .inputChain, previous: before, gate: Gate(.recent, .ipv4))
        let pending = SimulatedKernel.loaded(trial.loading(over: before).text, onto: before)
        let step = PermanentRules(WantedRules(plan, scope: .inputChain), insteadOf: before)
        let kept = SimulatedKernel.loaded(step.loading(over: pending).text, onto: pending)
        let back = PermanentRules(
            WantedRules(previous: before, plan: plan, scope: .inputChain, live: kept), insteadOf: plan)
        let again = SimulatedKernel.loaded(back.loading(over: kept).text, onto: kept)
        #expect(again.withoutTrial.normalized() == before.normalized())
        #expect(back.differences(again).isEmpty)
    }

    @Test("an edit does not touch rules that stay, with anything in between", arguments: 0..<200)
    func edits(seed: Int) {
        var random = SeededNumbers(seed: UInt64(seed))
        func rules(_ names: [String]) -> [Rule] {
            (0..<Int.random(in: 0...6, using: &random)).map { _ in
                Rule("INPUT", [.inInterface(names.randomElement(using: &random) ?? "lo")], target: .accept)
            }
        }
        let own = ["a0", "a1", "a2"]
        let others = ["z0", "z1"]
        let present = rules(own + others)
        let wanted = rules(own + ["b0"])
        let isOther: (Rule) -> Bool = { rule in others.contains { rule.body.contains($0) } }
        let edit = ChainEdit(
            "INPUT", present: present, wanted: wanted, isRemovable: { !isOther($0) }, isAnchor: { _, _ in false })
        let live = RuleSet(tables: [Table("filter", chains: [Chain("INPUT", policy: .accept)], rules: present)])
        let after = SimulatedKernel.loaded("*filter\n\(edit.lines.map { $0 + "\n" }.joined())COMMIT\n", onto: live)
        let found = after["filter"]?.rules ?? []
        #expect(found.filter { !isOther($0) }.map(\.body) == wanted.map(\.body), "\(edit.lines)")
        #expect(found.filter(isOther).map(\.body) == present.filter(isOther).map(\.body))
        #expect(edit.lines.allSatisfy { !$0.contains("z") })
    }
}
