import Foundation
import TestSupport
import Testing

@Suite("Other programs' rules", .kernel, .inTurn)
struct ExistingTests {
    @Test("with keep, changes by others during the countdown survive the revert", arguments: TestBackend.installed)
    func window(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await EarlierRules.makeSets(on: machine)
            try await machine.load(EarlierRules.full)
            let before = try await machine.rules()
            try await machine.begin(.keep)

            // Everything stays loaded. fail2ban's jump comes before latchkey's rules, and so does the one in between.
            try await machine.expectPending(on: before)
            let pending = try await machine.dump(.ipv4)
            let input = EarlierRules.chain("INPUT", in: "filter", of: pending)
            #expect(input.first?.hasSuffix(" -j f2b-sshd") == true)
            #expect(PendingRules.gates(in: pending) == [input[1]])
            let inside = EarlierRules.chain("latchkey-trial-INPUT", in: "filter", of: pending)
            #expect(inside.first?.hasSuffix(" -j odd-chain.1") == true)
            #expect(!inside.contains { $0.contains("--dport 25 ") })

            // A ban, a new jail with its jump, a container's port and forwarding.
            let ban = "f2b-sshd -s 198.51.100.66/32 -j REJECT --reject-with icmp-port-unreachable"
            try await machine.iptables("-I f2b-sshd 1 -s 198.51.100.66/32 -j REJECT")
            try await machine.iptables("-N f2b-web")
            try await machine.iptables("-A f2b-web -j RETURN")
            try await machine.iptables("-I INPUT 1 -p tcp -m multiport --dports 80,443 -j f2b-web")
            let door = "DOCKER ! -i docker0 -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.17.0.3:90"
            try await machine.iptables("-t nat -A \(door)")
            try await machine.iptables("-A FORWARD -d 172.17.0.3 -p tcp --dport 90 -j ACCEPT")
            try await machine.iptables("-D f2b-sshd -s 2001:db8:bad::99 -j REJECT", .ipv6)
            #expect(try await machine.latchkey("revert").status == 0)

            var expected = EarlierRules.full(.ipv4)
            func change(_ old: String, _ new: String) {
                #expect(expected.contains(old))
                expected = expected.replacingOccurrences(of: old, with: new)
            }
            change("-A f2b-sshd -s", "-A \(ban)\n-A f2b-sshd -s")
            change("-A f2b-sshd -j RETURN\n", "-A f2b-sshd -j RETURN\n-A f2b-web -j RETURN\n")
            change(
                "-A INPUT -p tcp -m multi",
                "-A INPUT -p tcp -m multiport --dports 80,443 -j f2b-web\n-A INPUT -p tcp -m multi")
            change(
                "-A FORWARD -j DOCKER-USER\n",
                "-A FORWARD -j DOCKER-USER\n-A FORWARD -d 172.17.0.3/32 -p tcp -m tcp --dport 90 -j ACCEPT\n")
            change("172.17.0.2:80\n", "172.17.0.2:80\n-A \(door)\n")
            let reference = try await NetworkNamespace()
            defer { reference.close() }
            try await reference.mustRun(["ipset", "create", "banned", "hash:ip"])
            expected = expected.replacingOccurrences(of: ":f2b-sshd", with: ":f2b-web - [0:0]\n:f2b-sshd")
            try await reference.restore(expected, .ipv4, backend)
            for table in ["raw", "mangle", "nat", "filter"] {
                let wanted = try await reference.dump(.ipv4, backend)
                let live = try await machine.dump(.ipv4)
                #expect(lines(table, of: live) == lines(table, of: wanted))
            }
            // The ban that was lifted during the countdown stays lifted.
            let six = try await machine.dump(.ipv6)
            #expect(!six.contains("2001:db8:bad::99"))
            #expect(
                EarlierRules.chain("INPUT", in: "filter", of: six)
                    == EarlierRules.chain("INPUT", in: "filter", of: EarlierRules.full(.ipv6)).map(printed))
        }
    }

    @Test(
        "with keep, the sets of the previous rules stay in use, and entries removed by others stay removed",
        arguments: TestBackend.installed)
    func setsInWindow(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await EarlierRules.makeSets(on: machine)
            try await machine.load(EarlierRules.full)
            try await machine.begin(.keep)
            try await machine.namespace.mustRun(["ipset", "del", "banned", "203.0.113.5"])
            #expect(try await machine.namespace.run(["ipset", "destroy", "banned6"]).status != 0)
            #expect(try await machine.latchkey("revert").status == 0)
            let sets = try await machine.namespace.mustRun(["ipset", "save"])
            #expect(sets.contains("create banned ") && !sets.contains("203.0.113.5"))
            #expect(sets.contains("add banned6 2001:db8:dead::5"))
        }
    }

    @Test(
        "with keep, a rule added to INPUT during the countdown survives the confirmation too",
        arguments: TestBackend.installed)
    func keptWindow(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await machine.begin(.keep)
            try await machine.iptables("-N f2b-late")
            try await machine.iptables("-I INPUT 1 -p tcp -m multiport --dports 22 -j f2b-late")
            try await machine.iptables("-A f2b-late -s 198.51.100.66 -j DROP")
            try await machine.iptables("-A INPUT -j ACCEPT")
            let confirmed = try await machine.latchkey("confirm", "--json")
            #expect(confirmed.status == 0)
            // A rule that opens everything is reported; a jump into a program's own chain is that program's business.
            let said = try #require(try JSON(confirmed).text("reason"))
            #expect(said.contains("INPUT (IPv4) also contains") && said.contains("-A INPUT -j ACCEPT"), "\(said)")
            #expect(!said.contains("f2b-late") && !said.contains("INPUT (IPv6)"), "\(said)")
            let dump = try await machine.dump(.ipv4)
            let input = EarlierRules.chain("INPUT", in: "filter", of: dump)
            #expect(input.first == "-A INPUT -p tcp -m multiport --dports 22 -j f2b-late")
            #expect(EarlierRules.chain("f2b-late", in: "filter", of: dump).count == 1)
            #expect(input.contains { $0.contains("latchkey: drop all else") && $0.hasSuffix(" -j DROP") })
            #expect(input.contains("-A INPUT -j ACCEPT"))
            #expect(dump.contains(":INPUT ACCEPT"))
            try await machine.expectNoGate()
        }
    }

    @Test(
        "with keep, a second change replaces the first one's rules and reverts to them",
        arguments: TestBackend.installed)
    func again(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await machine.load(EarlierRules.filterWithoutSets)
            try await machine.begin(.keep)
            #expect(try await machine.latchkey("confirm").status == 0)
            let kept = try await machine.rules()
            try machine.root.write("version: 1\nservices: [dns]\nexisting: keep\n", to: "keep.yaml")
            try await machine.begin(.keep)
            let inside = EarlierRules.chain("latchkey-trial-INPUT", in: "filter", of: try await machine.dump(.ipv4))
            #expect(inside.contains { $0.contains("53") })
            #expect(!inside.contains { $0.contains("8080") })
            try await machine.expectPending(on: kept)
            #expect(try await machine.latchkey("revert").status == 0)
            try await machine.expectBack(kept)
            try await machine.begin(.keep)
            #expect(try await machine.latchkey("confirm").status == 0)
            let input = EarlierRules.chain("INPUT", in: "filter", of: try await machine.dump(.ipv4))
            #expect(input.contains { $0.contains("53") })
            #expect(!input.contains { $0.contains("8080") })
        }
    }

    @Test("with replace, filter and nat are emptied, mangle and raw are left alone", arguments: TestBackend.installed)
    func replace(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await EarlierRules.makeSets(on: machine)
            try await machine.load(EarlierRules.full)
            let before = try await machine.rules()
            try await machine.begin(.replace)
            try await machine.expectPending(on: before)
            #expect(try await machine.latchkey("revert").status == 0)
            try await machine.expectBack(before)
            try await machine.begin(.replace)
            #expect(try await machine.latchkey("confirm").status == 0)
            for family in IPFamily.allCases {
                let dump = try await machine.dump(family)
                for table in ["mangle", "raw"] {
                    let untouched = EarlierRules.table(table, of: dump)
                    #expect(untouched == EarlierRules.table(table, of: EarlierRules.full(family)))
                }
                let filter = EarlierRules.table("filter", of: dump)
                let nat = EarlierRules.table("nat", of: dump)
                for gone in ["f2b-sshd", "DOCKER", "odd-chain.1", "banned", "dport 25"] {
                    #expect(!filter.contains(gone), "\(gone)")
                }
                #expect(nat.split(separator: "\n").allSatisfy { !$0.hasPrefix("-A") && !$0.contains(" - ") })
                #expect(filter.contains(":FORWARD ACCEPT"))
                #expect(EarlierRules.chain("FORWARD", in: "filter", of: dump) == [])
            }
            try await machine.expectNoGate()
        }
    }

    @Test("a change is refused while the other backend filters incoming packets", arguments: TestBackend.installed)
    func otherBackend(_ backend: TestBackend) async throws {
        let others = TestBackend.allCases.filter { $0 != backend }
        try await Machine.with(backend) { machine in
            let other = try #require(others.first)
            try await machine.namespace.restore("*filter\n-A INPUT -p tcp --dport 25 -j DROP\nCOMMIT\n", .ipv4, other)
            let before = try await machine.namespace.dump(.ipv4, other)
            let applied = try await machine.apply(.keep, "--detach")
            #expect(applied.status == 1)
            #expect(applied.errors.contains(other.rawValue))
            #expect(try await machine.rules() == Machine.none)
            #expect(try await machine.namespace.dump(.ipv4, other) == before)
        }
    }

    @Test(
        "a chain of nft's own in the table filter is left alone with keep, and replace is refused",
        arguments: Existing.allCases)
    func baseChain(existing: Existing) async throws {
        try await Machine.with(.nft) { machine in
            try await machine.iptables("-A INPUT -p tcp --dport 81 -j ACCEPT")
            let chain = "{ type filter hook input priority 10; policy accept; }"
            try await machine.namespace.mustRun(["nft", "add chain ip filter mine \(chain)"])
            try await machine.namespace.mustRun(["nft", "add rule ip filter mine tcp dport 1234 drop"])
            let before = try await machine.namespace.mustRun(["nft", "list ruleset"])
            let applied = try await machine.apply(existing, "--detach")
            #expect(applied.status == (existing == .keep ? 0 : 69), "\(applied.errors)")
            if existing == .keep { #expect(try await machine.latchkey("revert").status == 0) }
            #expect(try await machine.namespace.mustRun(["nft", "list ruleset"]) == before)
        }
    }

    /// A table's lines, with its chains sorted by name: the kernel may list new ones first or last.
    private func lines(_ table: String, of dump: String) -> [String] {
        let lines = EarlierRules.table(table, of: dump).split(separator: "\n").map(String.init)
        let rules = lines.filter { $0.hasPrefix("-A ") }
        return lines.filter { $0.hasPrefix(":") }.sorted()
            + rules.filter { !$0.hasPrefix("-A f2b-web") } + rules.filter { $0.hasPrefix("-A f2b-web") }
    }

    /// iptables escapes a single quote in a comment even though this is not necessary.
    private func printed(_ rule: String) -> String { rule.replacingOccurrences(of: "'", with: "\\'") }
}
