import Netfilter
import Testing

@testable import SafeApply

@Suite("The trial of rules, without a kernel")
struct TrialTests {
    private static func set(_ lines: String) throws -> RuleSet {
        try RuleSet(parsing: "*filter\n\(lines)\nCOMMIT\n", file: "test")
    }

    private static let gate = Gate(.recent, .ipv4)
    private static let gateText =
        "-m recent --rcheck --seconds 10 --name latchkey4 --mask 0.0.0.0 --rsource -m comment --comment \"latchkey: trial\""

    private static func loaded(_ trial: Trial, over live: RuleSet) -> [String] {
        trial.loading(over: live).text.split(separator: "\n").map(String.init)
    }

    @Test("keep: the gate comes after the jumps at the start of INPUT; later jumps are repeated in the trial")
    func keep() throws {
        let live = try Self.set(
            """
            :INPUT ACCEPT [0:0]
            :f2b - [0:0]
            :ts-input - [0:0]
            -A INPUT -p tcp -j f2b
            -A INPUT -s 10.0.0.0/8 -j ACCEPT
            -A INPUT -j ts-input
            """)
        let plan = try Self.set(":INPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -j DROP")
        let trial = Trial(of: plan, scope: .inputChain, previous: live, gate: Self.gate)
        #expect(
            Self.loaded(trial, over: live) == [
                "*filter", ":latchkey-trial-INPUT - [0:0]", "-F latchkey-trial-INPUT",
                "-A latchkey-trial-INPUT -j ts-input", "-A latchkey-trial-INPUT -i lo -j ACCEPT",
                "-A latchkey-trial-INPUT -j DROP", "-I INPUT 2 \(Self.gateText) -g latchkey-trial-INPUT", "COMMIT",
            ])
        let during = SimulatedKernel.loaded(trial.loading(over: live).text, onto: live)
        #expect(trial.isComplete(in: during) && !trial.isComplete(in: live))
        #expect(SimulatedKernel.loaded(trial.removing.text, onto: during).normalized() == live.normalized())
    }

    @Test("the gate is ahead of the jumps of a manager that the change takes over, and none of them is repeated")
    func takeOver() throws {
        let live = try Self.set(
            """
            :INPUT DROP [0:0]
            :f2b - [0:0]
            :ufw-before-input - [0:0]
            -A INPUT -p tcp -j f2b
            -A INPUT -j ufw-before-input
            """)
        let plan = try Self.set(":INPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -j DROP")
        let trial = Trial(of: plan, scope: .inputChain, previous: live, gate: Self.gate, taking: ["ufw"])
        let lines = Self.loaded(trial, over: live)
        #expect(lines.contains("-I INPUT 2 \(Self.gateText) -g latchkey-trial-INPUT"))
        #expect(!lines.contains { $0.contains("ufw") })
        let beside = Self.loaded(
            Trial(of: plan, scope: .inputChain, previous: live, gate: Self.gate), over: live)
        #expect(beside.contains("-I INPUT 3 \(Self.gateText) -g latchkey-trial-INPUT"))
    }

    @Test("replace: emptied chains accept, and unchanged chains have no gate")
    func replace() throws {
        let live = try Self.set(
            ":INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A FORWARD -i docker0 -j ACCEPT")
        let plan = try Self.set(
            ":INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT")
        let lines = Self.loaded(Trial(of: plan, scope: .tables, previous: live, gate: Self.gate), over: live)
        let forward = Self.gateText.replacing("latchkey4", with: "latchkey4-filter-FORWARD")
        #expect(lines.contains("-I FORWARD 1 \(forward) -g latchkey-trial-FORWARD"))
        #expect(lines.contains("-A latchkey-trial-FORWARD -m comment --comment \"latchkey: trial, policy\" -j ACCEPT"))
        #expect(lines.contains("-A latchkey-trial-INPUT -m comment --comment \"latchkey: trial, policy\" -j DROP"))
        #expect(!lines.contains { $0.contains("OUTPUT") })
        #expect(Trial(of: live, scope: .tables, previous: live, gate: Self.gate).isEmpty)
    }

    @Test("RETURN and goto in a built-in chain lead back to the rule that replaces the policy")
    func policy() throws {
        let plan = try Self.set(":INPUT DROP [0:0]\n:one - [0:0]\n-A INPUT -s 192.0.2.1/32 -j RETURN\n-A INPUT -g one")
        let lines = Self.loaded(Trial(of: plan, scope: .tables, previous: RuleSet(), gate: Self.gate), over: RuleSet())
        #expect(
            lines.filter { $0.hasPrefix("-A") } == [
                "-A latchkey-trial-INPUT -j latchkey-trial-INPUT-2",
                "-A latchkey-trial-INPUT-2 -s 192.0.2.1/32 -j RETURN", "-A latchkey-trial-INPUT-2 -g latchkey-trial-1",
                "-A latchkey-trial-INPUT -m comment --comment \"latchkey: trial, policy\" -j DROP",
            ])
    }

    @Test("names that are already in use are avoided, and every name fits")
    func names() throws {
        let live = try Self.set(
            ":INPUT ACCEPT [0:0]\n:latchkey-trial-INPUT - [0:0]\n:latchkey-trial-1 - [0:0]\n-A INPUT -j latchkey-trial-1"
        )
        let plan = try Self.set(":INPUT ACCEPT [0:0]\n:one - [0:0]\n-A INPUT -j one\n-A one -j DROP")
        let trial = Trial(of: plan, scope: .tables, previous: live, gate: Self.gate)
        let chains = trial.tables.flatMap(\.chains)
        #expect(Set(chains).isDisjoint(with: ["latchkey-trial-INPUT", "latchkey-trial-1"]))
        #expect(chains.count == 2 && chains.allSatisfy { Chain.isValidName($0) })
        let during = SimulatedKernel.loaded(trial.loading(over: live).text, onto: live)
        let after = SimulatedKernel.loaded(trial.removing.text, onto: during)
        #expect(after.normalized() == live.normalized(), "a user's chain with such a name stays")
    }

    @Test("the remains of a previous trial are removed with the next one, or separately")
    func leftovers() throws {
        let live = try Self.set(":INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.1/32 -j ACCEPT")
        let first = Trial(
            of: try Self.set(":INPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT"), scope: .inputChain, previous: live,
            gate: Self.gate)
        let second = Trial(
            of: try Self.set(":INPUT DROP [0:0]\n-A INPUT -i eth0 -j ACCEPT"), scope: .tables, previous: live,
            gate: Self.gate)
        let left = SimulatedKernel.loaded(first.loading(over: live).text, onto: live)
        #expect(left.hasTrial && !live.hasTrial)
        let again = SimulatedKernel.loaded(second.loading(over: left).text, onto: left)
        #expect(second.isComplete(in: again) && !first.isComplete(in: again))
        #expect(again["filter"]?.rules.filter(\.isGate).count == 1)
        let input = try #require(Trial.removing(from: again))
        #expect(SimulatedKernel.loaded(input.text, onto: again).normalized() == live.normalized())
    }

    @Test("the trial in nft's listing is deleted by its handles, and nothing else")
    func handles() {
        let listing = """
            table ip filter { # handle 1
            \tchain INPUT { # handle 2
            \t\ttype filter hook input priority filter; policy accept;
            \t\txt match "recent" xt match "comment" counter packets 0 bytes 0 goto latchkey-trial-INPUT # handle 9
            \t\tip saddr 192.0.2.1 drop # handle 4
            \t}

            \tchain latchkey-trial-INPUT { # handle 7
            \t\tiifname "lo" counter packets 0 bytes 0 accept # handle 8
            \t}
            }
            """
        #expect(
            IPTablesBackend.deletions(in: listing, place: "ip filter", chains: ["latchkey-trial-INPUT"]) == [
                "delete rule ip filter INPUT handle 9", "flush chain ip filter latchkey-trial-INPUT",
                "delete chain ip filter latchkey-trial-INPUT",
            ])
    }
}
