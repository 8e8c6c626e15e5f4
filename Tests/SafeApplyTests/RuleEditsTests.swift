import Netfilter
import Testing

@testable import SafeApply

/// The effect of a change on rule sets, without a kernel.
@Suite("How a change edits the rules")
struct RuleEditsTests {
    private static let plan = rules(
        """
        *filter
        :INPUT DROP [0:0]
        -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "latchkey: replies" -j ACCEPT
        -A INPUT -p tcp -m tcp --dport 22 -m comment --comment "latchkey: ssh" -j ACCEPT
        COMMIT
        """)

    // MARK: Drift

    @Test("the emergency opening counts as active only before all other rules")
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

    @Test("drift: another program's jump does not count, an unknown rule or a missing rule does")
    func drift() {
        let live = Self.rules(
            """
            *filter
            :INPUT DROP [0:0]
            :f2b-sshd - [0:0]
            -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
            -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "latchkey: replies" -j ACCEPT
            -A INPUT -p tcp -m tcp --dport 22 -m comment --comment "latchkey: ssh" -j ACCEPT
            -A f2b-sshd -j RETURN
            COMMIT
            """)
        #expect(!RuleEdits.hasDrifted(live: live, from: Self.plan))
        let opened = Self.with(live) { [Self.rule("-A INPUT -j ACCEPT")] + $0 }
        #expect(RuleEdits.hasDrifted(live: opened, from: Self.plan))
        #expect(RuleEdits.hasDrifted(live: Self.with(live) { Array($0.dropLast()) }, from: Self.plan))
        #expect(RuleEdits.hasDrifted(live: RuleSet(tables: []), from: Self.plan))
        #expect(RuleEdits.hasDrifted(live: live, from: SavedRules.kept(Self.plan, scope: .tables)))
    }

    // MARK: The last resort

    @Test("the emergency opening allows SSH and the family's own admins, before all other rules")
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

    /// The same rule set with changed INPUT rules.
    private static func with(_ set: RuleSet, _ change: ([Rule]) -> [Rule]) -> RuleSet {
        var result = set
        guard let filter = set["filter"] else { return set }
        let others = filter.rules.filter { $0.chain != "INPUT" }
        result["filter"] = Table("filter", chains: filter.chains, rules: change(filter.rules(in: "INPUT")) + others)
        return result
    }
}
