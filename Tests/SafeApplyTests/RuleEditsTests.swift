import Netfilter
import Testing

@testable import SafeApply

/// What a change does to rule sets, without a kernel.
@Suite("What a change does to the rules")
struct RuleEditsTests {
    private static let plan = rules(
        """
        *filter
        :INPUT DROP [0:0]
        -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "latchkey: replies" -j ACCEPT
        -A INPUT -p tcp -m tcp --dport 22 -m comment --comment "latchkey: ssh" -j ACCEPT
        COMMIT
        """)

    private static let before = rules(
        """
        *filter
        :INPUT ACCEPT [7:8]
        :FORWARD DROP [0:0]
        :OUTPUT ACCEPT [0:0]
        :f2b-sshd - [0:0]
        [1:2] -A INPUT -s 10.0.0.0/8 -j ACCEPT
        [5:300] -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
        [0:0] -A INPUT -p tcp -m tcp --dport 9 -j REJECT --reject-with tcp-reset
        [0:0] -A f2b-sshd -j RETURN
        COMMIT
        """)

    // MARK: Apply

    @Test("keep: jumps into other programs' chains stay ahead, rules of nobody go, nothing else is named")
    func applyKeep() {
        let input = RuleEdits.apply(Self.plan, scope: .inputChain, live: Self.before)
        #expect(!input.flush)
        #expect(
            input.text == """
                *filter
                :INPUT DROP [0:0]
                -F INPUT
                [5:300] -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
                [0:0] -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "latchkey: replies" -j ACCEPT
                [0:0] -A INPUT -p tcp -m tcp --dport 22 -m comment --comment "latchkey: ssh" -j ACCEPT
                COMMIT

                """)
    }

    @Test("keep: a second plan replaces the first and keeps the jumps")
    func applyKeepAgain() {
        let first = Self.loaded(RuleEdits.apply(Self.plan, scope: .inputChain, live: Self.before), onto: Self.before)
        let again = RuleEdits.apply(Self.plan, scope: .inputChain, live: first)
        #expect(Self.loaded(again, onto: first).normalized() == first.normalized())
    }

    @Test("replace: every built-in chain of a table is named, so that none keeps what it had")
    func applyReplace() {
        let input = RuleEdits.apply(Self.plan, scope: .tables, live: Self.before)
        #expect(input.flush)
        #expect(input.text.hasPrefix("*filter\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:INPUT DROP [0:0]\n"))
        #expect(!input.text.contains("f2b"))
    }

    // MARK: Revert

    @Test("keep: with nothing else changed, the earlier INPUT is back as it was, counters too")
    func revertKeep() {
        let during = Self.loaded(RuleEdits.apply(Self.plan, scope: .inputChain, live: Self.before), onto: Self.before)
        let input = RuleEdits.revert(to: Self.before, plan: Self.plan, scope: .inputChain, live: during)
        #expect(
            input.text == """
                *filter
                :INPUT ACCEPT [0:0]
                -F INPUT
                [1:2] -A INPUT -s 10.0.0.0/8 -j ACCEPT
                [5:300] -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
                [0:0] -A INPUT -p tcp -m tcp --dport 9 -j REJECT --reject-with tcp-reset
                COMMIT

                """)
    }

    @Test("keep: what others put into INPUT inside the window stays: ahead where it was ahead, else at the end")
    func revertKeepsAdditions() {
        var during = Self.loaded(RuleEdits.apply(Self.plan, scope: .inputChain, live: Self.before), onto: Self.before)
        let ban = Self.rule("-A INPUT -s 203.0.113.9/32 -j DROP")
        let late = Self.rule("-A INPUT -p udp -m udp --dport 5353 -j ACCEPT")
        during = Self.with(during) { [ban] + $0 + [late] }
        let input = RuleEdits.revert(to: Self.before, plan: Self.plan, scope: .inputChain, live: during)
        let texts = input.inputChain?.rules.map { $0.withoutCounters.text }
        #expect(texts?.first == ban.text)
        #expect(texts?.last == late.text)
        #expect(texts?.count == 5)
    }

    @Test("keep: a jump whose owner took it away inside the window does not come back")
    func revertRespectsRemovals() {
        var during = Self.loaded(RuleEdits.apply(Self.plan, scope: .inputChain, live: Self.before), onto: Self.before)
        during = Self.with(during) { $0.filter { $0.jumpsTo == nil } }
        let input = RuleEdits.revert(to: Self.before, plan: Self.plan, scope: .inputChain, live: during)
        #expect(input.inputChain?.rules.contains { $0.jumpsTo != nil } == false)
        #expect(input.inputChain?.rules.count == 2)
    }

    @Test("keep: after somebody emptied INPUT, all of the earlier rules come back")
    func revertAfterFlush() {
        let during = Self.with(Self.before) { _ in [] }
        let input = RuleEdits.revert(to: Self.before, plan: Self.plan, scope: .inputChain, live: during)
        #expect(input.inputChain?.rules.count == 3)
    }

    @Test("keep: the rules of an earlier plan come back, and none of them twice")
    func revertToEarlierPlan() {
        let earlier = Self.loaded(RuleEdits.apply(Self.plan, scope: .inputChain, live: Self.before), onto: Self.before)
        let wider = Self.with(Self.plan) {
            $0 + [Self.rule("-A INPUT -p tcp -m tcp --dport 80 -m comment --comment \"latchkey: web\" -j ACCEPT")]
        }
        let during = Self.loaded(RuleEdits.apply(wider, scope: .inputChain, live: earlier), onto: earlier)
        let input = RuleEdits.revert(to: earlier, plan: wider, scope: .inputChain, live: during)
        #expect(Self.loaded(input, onto: during).normalized() == earlier.normalized())
    }

    @Test("an empty start is put back as an open one", arguments: ChangeScope.allCases)
    func revertToNothing(scope: ChangeScope) {
        let nothing = RuleSet(tables: [])
        let during = Self.loaded(RuleEdits.apply(Self.plan, scope: scope, live: nothing), onto: nothing)
        let input = RuleEdits.revert(to: nothing, plan: Self.plan, scope: scope, live: during)
        #expect(input.text.contains(":INPUT ACCEPT [0:0]"))
        #expect(Self.loaded(input, onto: during).normalized().tables.isEmpty)
    }

    @Test("replace: only the tables that the plan names are put back")
    func revertReplace() {
        var before = Self.before
        before["mangle"] = Table("mangle", chains: [Chain("PREROUTING", policy: .drop)])
        let input = RuleEdits.revert(to: before, plan: Self.plan, scope: .tables, live: Self.plan)
        #expect(input.flush)
        #expect(!input.text.contains("mangle"))
        #expect(input.text.contains("[1:2] -A INPUT -s 10.0.0.0/8 -j ACCEPT"))
    }

    // MARK: Verification and drift

    @Test("a difference to what was loaded is found", arguments: ChangeScope.allCases)
    func differences(scope: ChangeScope) {
        let input = RuleEdits.apply(Self.plan, scope: scope, live: RuleSet(tables: []))
        let live = Self.loaded(input, onto: RuleSet(tables: []))
        #expect(RuleEdits.differences(live: live, from: input).isEmpty)
        let less = Self.with(live) { Array($0.dropLast()) }
        #expect(!RuleEdits.differences(live: less, from: input).isEmpty)
        #expect(!RuleEdits.differences(live: RuleSet(tables: []), from: input).isEmpty)
    }

    @Test("what another program puts into INPUT meanwhile is no difference; a rule of latchkey's is")
    func foreignInsertion() {
        let input = RuleEdits.apply(Self.plan, scope: .inputChain, live: RuleSet(tables: []))
        let live = Self.loaded(input, onto: RuleSet(tables: []))
        let banned = Self.with(live) { [Self.rule("-A INPUT -s 203.0.113.9/32 -j DROP")] + $0 }
        #expect(RuleEdits.differences(live: banned, from: input).isEmpty)
        let own = Self.with(live) { $0 + [Self.rule("-A INPUT -m comment --comment \"latchkey: x\" -j ACCEPT")] }
        #expect(!RuleEdits.differences(live: own, from: input).isEmpty)
        let turned = Self.with(live) { $0.reversed() }
        #expect(!RuleEdits.differences(live: turned, from: input).isEmpty)
    }

    @Test("the opening counts as in force only ahead of all else")
    func opened() {
        let opening = RuleEdits.emergencyOpening(family: .ipv4, sshPorts: [22], admins: ["192.0.2.1"])
        let rules = InputChain(
            of: RuleSet(tables: (try? RuleSet(parsing: opening.text, file: "test"))?.normalized().tables ?? [])
        ).rules
        #expect(rules.count == 3)
        #expect(RuleEdits.isOpened(Self.with(Self.plan) { rules + $0 }, by: opening))
        #expect(!RuleEdits.isOpened(Self.with(Self.plan) { $0 + rules }, by: opening))
        #expect(!RuleEdits.isOpened(Self.plan, by: opening))
    }

    @Test("drift: another program's jump is its own affair, a rule of nobody and a missing rule are not")
    func drift() {
        let live = Self.loaded(RuleEdits.apply(Self.plan, scope: .inputChain, live: Self.before), onto: Self.before)
        #expect(!RuleEdits.hasDrifted(live: live, from: Self.plan))
        let opened = Self.with(live) { [Self.rule("-A INPUT -j ACCEPT")] + $0 }
        #expect(RuleEdits.hasDrifted(live: opened, from: Self.plan))
        #expect(RuleEdits.hasDrifted(live: Self.with(live) { Array($0.dropLast()) }, from: Self.plan))
        #expect(RuleEdits.hasDrifted(live: RuleSet(tables: []), from: Self.plan))
        #expect(RuleEdits.hasDrifted(live: live, from: SavedRules.kept(Self.plan, scope: .tables)))
    }

    // MARK: The last resort

    @Test("the emergency opening lets SSH and the family's own admins in, ahead of all else")
    func emergency() {
        let admins = ["192.168.1.33", "2001:db8:5::/64", "not an address"]
        let text = RuleEdits.emergencyOpening(family: .ipv6, sshPorts: [22, 2222], admins: admins).text
        #expect(text.contains("-I INPUT 1 -p tcp -m tcp --dport 2222 -m comment"))
        #expect(text.contains("-I INPUT 1 -s 2001:db8:5::/64 -m comment"))
        #expect(!text.contains("192.168"))
        #expect(!text.contains("not an"))
    }

    // MARK: Helpers

    private static func rules(_ text: String) -> RuleSet {
        do { return try RuleSet(parsing: text + "\n", file: "test") } catch {
            Issue.record("the test's own rules are not valid: \(error)")
            return RuleSet(tables: [])
        }
    }

    private static func rule(_ line: String) -> Rule {
        rules("*filter\n\(line)\nCOMMIT")["filter"]?.rules.first ?? Rule("INPUT")
    }

    /// The same rule set with INPUT's rules changed.
    private static func with(_ set: RuleSet, _ change: ([Rule]) -> [Rule]) -> RuleSet {
        var result = set
        let chain = InputChain(of: set)
        result["filter"]?.replaceChain("INPUT", policy: chain.policy, rules: change(chain.rules))
        return result
    }

    /// What the kernel would hold after a load.
    private static func loaded(_ input: RestoreInput, onto live: RuleSet) -> RuleSet {
        var result = live
        if let chain = input.inputChain {
            var table = live["filter"] ?? Table("filter", chains: [])
            table.replaceChain("INPUT", policy: chain.policy, rules: chain.rules)
            result["filter"] = table
        } else if let read = try? RuleSet(parsing: input.text, file: "load") {
            for table in read.tables { result[table.name] = table }
        }
        return result
    }
}
