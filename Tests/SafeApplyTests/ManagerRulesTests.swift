import Netfilter
import Testing

@testable import SafeApply

@Suite("The rules of other firewall managers, without a kernel")
struct ManagerRulesTests {
    private static func set(_ lines: String, table: String = "filter") throws -> RuleSet {
        try RuleSet(dumped: "*\(table)\n\(lines)\nCOMMIT\n", file: "test")
    }

    private static let live = """
        :INPUT DROP [0:0]
        :FORWARD DROP [0:0]
        :OUTPUT DROP [0:0]
        :DOCKER - [0:0]
        :f2b-sshd - [0:0]
        :net-fw - [0:0]
        :ufw-user-input - [0:0]
        -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
        -A INPUT -j ufw-user-input
        -A INPUT -i eth0 -j net-fw
        -A INPUT -i lo -j ACCEPT
        -A INPUT -m comment --comment "latchkey: drop all else" -j DROP
        -A FORWARD -o docker0 -j DOCKER
        -A FORWARD -j ufw-user-input
        -A OUTPUT -o eth0 -j ACCEPT
        -A DOCKER -j RETURN
        -A f2b-sshd -j RETURN
        -A net-fw -j DROP
        -A ufw-user-input -p tcp --dport 22 -j ACCEPT
        """

    private static func rules(_ set: RuleSet) -> [String] { set["filter"]?.rules.map(\.withoutCounters.text) ?? [] }

    @Test("ufw takes its own chains and the jumps there with it, and nothing else")
    func named() throws {
        let rest = Self.rules(try Self.set(Self.live).withoutAllRules(of: ["ufw"]))
        #expect(!rest.contains { $0.contains("ufw") })
        #expect(rest.count == Self.rules(try Self.set(Self.live)).count - 3)
    }

    @Test("Shorewall, whose chains have any name, takes all that no other program owns")
    func unnamed() throws {
        let rest = Self.rules(try Self.set(Self.live).withoutAllRules(of: ["shorewall"]))
        #expect(!rest.contains { $0.contains("net-fw") || $0.contains("-i lo") || $0.contains("OUTPUT") })
        #expect(rest.contains { $0.contains("f2b-sshd") } && rest.contains { $0.contains("DOCKER") })
        #expect(rest.contains { $0.contains("ufw-user-input") } && rest.contains { $0.contains("latchkey") })
    }

    @Test("in a rehearsal, a manager leaves the policy ACCEPT and the rules of others for what comes in and goes out")
    func stopped() throws {
        let rest = try Self.set(Self.live).withoutRules(of: ["shorewall"])
        #expect(rest["filter"]?.chain("INPUT")?.policy == .accept)
        #expect(rest["filter"]?.chain("OUTPUT")?.policy == .accept)
        let input = rest["filter"]?.rules(in: "INPUT") ?? []
        #expect(input.compactMap(\.jumpsTo) == ["f2b-sshd", "ufw-user-input"])
        #expect(rest["filter"]?.rules(in: "OUTPUT").isEmpty == true)
    }

    @Test("the gate of a trial is ahead of Shorewall's jumps, and after those of others")
    func gate() throws {
        let chains = RuleEdits.userChains(in: try Self.set(Self.live), taking: ["shorewall"])
        #expect(chains == ["DOCKER", "f2b-sshd", "ufw-user-input"])
    }

    // MARK: - What a manager removed of others

    @Test("rules of others that a manager removed are loaded again, ahead of what is there")
    func missing() throws {
        let before = try Self.set(Self.live).withoutAllRules(of: ["ufw", "shorewall"])
        let after = try Self.set(":INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT")
        let missing = RulesBeforeHandover.missing(before, in: after)
        #expect(missing.count == 4)
        let loaded = SimulatedKernel.loaded(missing.text, onto: after)
        #expect(
            loaded["filter"]?.rules(in: "INPUT").map(\.body) == [
                "-p tcp -m multiport --dports 22 -j f2b-sshd", "-i lo -j ACCEPT",
            ])
        #expect(loaded["filter"]?.rules(in: "FORWARD").map(\.body) == ["-o docker0 -j DOCKER"])
        #expect(loaded["filter"]?.rules(in: "DOCKER").count == 1)
        // Docker's policy, without which others reach its containers.
        #expect(loaded["filter"]?.chain("FORWARD")?.policy == .drop)
    }

    @Test("what is still there, or was changed by its owner, is left alone")
    func unchanged() throws {
        let before = try Self.set(Self.live).withoutAllRules(of: ["ufw", "shorewall"])
        #expect(RulesBeforeHandover.missing(before, in: try Self.set(Self.live)).count == 0)
        let changed = Self.live.replacing("-A f2b-sshd -j RETURN", with: "-A f2b-sshd -s 198.51.100.7 -j DROP")
        #expect(RulesBeforeHandover.missing(before, in: try Self.set(changed)).count == 0)
    }
}
