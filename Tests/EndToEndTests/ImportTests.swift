import Glibc
import TestSupport
import Testing

/// Imports of what the kernel holds, compared by the kernel itself.
@Suite("import", .kernel, .inTurn)
struct ImportTests {
    private static func rules(_ family: IPFamily) -> String {
        let (network, icmp) = family == .ipv4 ? ("10.0.0.0/8", "icmp") : ("2001:db8:a::/48", "ipv6-icmp")
        return """
            *filter
            :INPUT DROP [0:0]
            :OWN - [0:0]
            -A INPUT -i lo -j ACCEPT
            -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
            -A INPUT -p \(icmp) -j ACCEPT
            -A INPUT -p tcp -m tcp --dport 8081 -j DROP
            -A INPUT -p tcp -j OWN
            -A INPUT -p udp -m udp --dport 443 -m limit --limit 100/sec --limit-burst 100 -j ACCEPT
            -A INPUT -s \(network) -p tcp -m tcp --dport 5432 -j ACCEPT
            -A OWN -p tcp -m tcp --dport 22 -j ACCEPT
            -A OWN -p tcp -m multiport --dports 80,8080:8082 -j ACCEPT
            COMMIT

            """
    }

    @Test("what differs is shown packet by packet, and nothing is opened", arguments: TestBackend.installed)
    func comparison(_ backend: TestBackend) async throws {
        try await Machine.withOutside(backend) { machine, _ in
            try await machine.load(Self.rules)
            let before = try await machine.rules()
            let report = try await JSON(machine.latchkey("import", "iptables", "--backend", backend.rawValue, "--json"))
            #expect(try await machine.rules() == before)
            let answers = try #require(report.text("answers"))
            for line in ["  - 80/tcp", "  - 8080/tcp", "  - 8082/tcp", "ping: everyone"] {
                #expect(answers.contains(line), "\(answers)")
            }
            #expect(!answers.contains("8081"))
            let differences = try #require(report.objects("differences"))
            #expect(!differences.isEmpty)
            for difference in differences {
                #expect(difference.text("before") == "accept" && difference.text("after") == "drop")
                #expect(difference.text("packet") == "443/udp")
            }
            try machine.root.write(answers, to: "imported.yaml")
            let plan = try await machine.latchkey(
                "plan", "--answers", "\(machine.root.path)/imported.yaml", "--backend", backend.rawValue)
            #expect(plan.status == 0, "\(plan.errors)")
        }
    }

    @Test("interfaces, blocked sources and limits are compared with packets, too", arguments: TestBackend.installed)
    func limits(_ backend: TestBackend) async throws {
        try await Machine.withOutside(backend) { machine, _ in
            try await machine.namespace.mustRun(["ip", "link", "add", "wg0", "type", "veth", "peer", "name", "far0"])
            try await machine.namespace.mustRun(["ip", "link", "set", "wg0", "up"])
            try await machine.namespace.mustRun(["ip", "address", "add", "10.99.0.1/24", "dev", "wg0"])
            try await machine.namespace.mustRun(["ip", "address", "add", "fd99::1/64", "dev", "wg0", "nodad"])
            try await machine.load { family in
                """
                *filter
                :INPUT DROP [0:0]
                -A INPUT -i lo -j ACCEPT
                -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                -A INPUT -p tcp -m tcp --dport 443 -j ACCEPT
                -A INPUT -s \(family == .ipv4 ? "203.0.113.0/24" : "3fff:bad::/48") -j DROP
                -A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m recent --set --name s
                -A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m recent --update --seconds 30 \
                --hitcount 6 --name s -j DROP
                -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
                -A INPUT -i wg0 -p tcp -m tcp --dport 3306 -j ACCEPT
                -A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT
                COMMIT

                """
            }
            let report = try await JSON(machine.latchkey("import", "iptables", "--backend", backend.rawValue, "--json"))
            let answers = try #require(report.text("answers"))
            for line in [
                "  - 203.0.113.0/24", "  - \"3fff:bad::/48\"", "ssh: { ports: [22], from: everyone, limit: 5/30s }",
                "  - { name: mysql, from: [{ interface: \"wg0\" }] }", "  - 8080/tcp", "  - 443/tcp",
            ] {
                #expect(answers.contains(line), "\(line) in \(answers)")
            }
            // Only what a rule ahead of the block allowed is closed, and only to the blocked sources.
            let differences = try #require(report.objects("differences"))
            #expect(differences.count == 2)
            for difference in differences {
                #expect(difference.text("packet") == "443/tcp" && difference.text("after") == "drop")
                #expect(["203.0.113.2", "3fff:bad::2"].contains(difference.text("from")))
            }
        }
    }

    @Test("a table of nft, and what it lets in, for the backend nftables")
    func nftables() async throws {
        try await Machine.withOutside(.nft) { machine, _ in
            try await machine.nft(
                """
                table inet mine {
                    set lan { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }
                    chain input {
                        type filter hook input priority 0; policy drop;
                        ct state vmap { established : accept, related : accept, invalid : drop }
                        iif lo accept
                        meta l4proto { icmp, ipv6-icmp } accept
                        ip saddr @lan tcp dport 5432 accept
                        tcp dport { 22, 80 } accept
                        tcp dport 9000-9010 jump more
                        meta skuid 0 tcp dport 9100 accept
                    }
                    chain more { tcp dport 9005 drop; accept; }
                }
                """)
            let report = try await JSON(machine.latchkey("import", "nftables", "--backend", "nftables", "--json"))
            let answers = try #require(report.text("answers"))
            for line in ["  - 80/tcp", "  - 9000-9004/tcp", "  - 9006-9010/tcp", "name: postgres, from: [10.0.0.0/8]"] {
                #expect(answers.contains(line), "\(answers)")
            }
            let differences = try #require(report.objects("differences"))
            #expect(differences.isEmpty, "\(differences.map { $0.text("packet") ?? "" })")
        }
    }

    @Test("rules that iptables-save does not print as they are, are not imported")
    func untruthful() async throws {
        try await Machine.with(.nft) { machine in
            try await machine.nft(
                """
                table ip filter {
                    set good { type ipv4_addr; elements = { 198.51.100.3 }; }
                    chain INPUT { type filter hook input priority 0; policy drop; ip saddr @good accept; }
                }
                """)
            let run = try await machine.latchkey("import", "iptables", "--backend", "nft", "--no-rehearsal")
            #expect(run.status == 69, "\(run.errors)")
            #expect(run.output.isEmpty)
        }
    }

    @Test("a machine without rules has nothing to import", arguments: ["iptables", "nftables"])
    func empty(program: String) async throws {
        try await Machine.with(.nft) { machine in
            let run = try await machine.latchkey("import", program, "--no-rehearsal")
            #expect(run.status == 69, "\(run.errors)")
            #expect(run.errors.contains("Next:"))
        }
    }
}
