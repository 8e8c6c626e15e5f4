import Host
import TestSupport
import Testing

@Suite("Tables that decide ahead of the trace, or take packets away", .kernel, .inTurn, .tool("nft"))
struct IngressTableTests {
    private static let answers = "version: 1\nadmins: [192.168.1.33]\nservices: [web]\n"
    private static let backends = ["nftables"] + TestBackend.installed.map(\.rawValue)

    /// A machine with an interface eth0, and these tables.
    private func machine(_ tables: String) async throws -> NetworkNamespace {
        let machine = try await NetworkNamespace()
        for words in [
            "link add eth0 type veth peer name far0", "addr add 192.0.2.2/24 dev eth0", "link set far0 up",
            "link set eth0 up", "route add default via 192.0.2.1",
        ] {
            try await machine.mustRun(["ip"] + words.split(separator: " ").map(String.init))
        }
        try await load(tables, on: machine)
        return machine
    }

    private func load(_ tables: String, on machine: NetworkNamespace) async throws {
        try await machine.mustRun(["nft", "-f", "-"], input: Array("flush ruleset\n\(tables)".utf8))
    }

    private func rehearse(
        _ answers: String, _ backend: String, on machine: NetworkNamespace
    ) async throws -> (status: Int32, text: String) {
        let root = try TemporaryFolder()
        let file = try root.write(answers, to: "answers.yaml")
        let words = ["rehearse", "--answers", file, "--backend", backend]
        let finished = try await Latchkey.run(words, root: root, in: machine, timeout: .seconds(300))
        return (finished.status, finished.errors.split(whereSeparator: \.isWhitespace).joined(separator: " "))
    }

    private static func table(_ type: String, _ rule: String) -> String {
        """
        table \(type) early {
            chain first {
                type filter hook \(type == "ip" ? "input" : "ingress device eth0") priority 0; policy accept;
                \(rule)
            }
        }

        """
    }

    @Test(
        "a chain at the hook ingress is named, as quickly as one at the hook input; one that closes SSH is refused",
        arguments: backends)
    func ingress(backend: String) async throws {
        let rule = "ip saddr != 192.168.1.33 tcp dport 443 drop"
        let machine = try await machine(Self.table("ip", rule))
        defer { machine.close() }
        let begun = ContinuousClock.now
        let ordinary = try await rehearse(Self.answers, backend, on: machine)
        let usual = ContinuousClock.now - begun
        #expect(ordinary.status == 0, "\(ordinary.text)")
        #expect(ordinary.text.contains("found closed by table ip early, chain first: \(rule)"))
        for type in ["inet", "netdev"] {
            try await load(Self.table(type, rule), on: machine)
            let begun = ContinuousClock.now
            let early = try await rehearse(Self.answers, backend, on: machine)
            // Waiting for each packet would take a minute and more.
            #expect(ContinuousClock.now - begun < usual * 3 + .seconds(2))
            #expect(early.status == 0, "\(early.text)")
            #expect(early.text.contains("found closed by table \(type) early, chain first: \(rule)"), "\(early.text)")

            try await load(Self.table(type, "tcp dport 22 drop"), on: machine)
            let refused = try await rehearse(Self.answers, backend, on: machine)
            #expect(refused.status == 4, "\(refused.text)")
            #expect(
                refused.text.contains("found closed by table \(type) early, chain first: tcp dport 22 drop"),
                "\(refused.text)")
        }
    }

    @Test("the port behind a synproxy is open if the machine's connection tracking is set for it, else it is named")
    func synproxy() async throws {
        let rule = "tcp dport 8080 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm"
        let machine = try await machine(
            """
            table ip proxy {
                chain before {
                    type filter hook prerouting priority raw; policy accept;
                    tcp dport 8080 tcp flags syn notrack
                }
                chain in {
                    type filter hook input priority filter - 1; policy accept;
                    \(rule)
                    ct state invalid drop
                }
            }

            """)
        defer { machine.close() }
        let answers = "version: 1\nadmins: []\nservices: []\n"
        let setting = "/proc/sys/net/netfilter/nf_conntrack_tcp_loose"
        try await machine.mustRun(["sh", "-c", "echo 1 > \(setting)"])
        let without = try await rehearse(answers + "ports: [8080/tcp]\n", "nftables", on: machine)
        #expect(without.status == 0, "\(without.text)")
        #expect(without.text.contains("found closed by table ip proxy, chain in: \(rule)"), "\(without.text)")

        try await machine.mustRun(["sh", "-c", "echo 0 > \(setting)"])
        let with = try await rehearse(answers + "ports: [8080/tcp]\n", "nftables", on: machine)
        #expect(with.status == 0, "\(with.text)")
        #expect(with.text.contains("packets as expected") && !with.text.contains("8080"), "\(with.text)")
        // The kernel's own connection to the listener comes over lo, where latchkey's rules accept it.
        let unasked = try await rehearse(answers + "ports: [8081/tcp]\n", "nftables", on: machine)
        #expect(unasked.status == 0, "\(unasked.text)")
        #expect(unasked.text.contains("found open by table ip proxy, chain in: \(rule)"), "\(unasked.text)")
    }

    @Test(
        "SSH is tested from a source that another program's table names, unless it bans for a while",
        arguments: backends)
    func namedSources(backend: String) async throws {
        let machine = try await machine(
            """
            table netdev early {
                chain first {
                    type filter hook ingress device eth0 priority 0; policy accept;
                    ip saddr 198.51.100.7 tcp dport 22 drop
                }
            }
            table inet bans {
                set bad {
                    type ipv4_addr
                    flags interval
                    elements = { 203.0.113.0/24, 10.1.2.3 }
                }
                chain in {
                    type filter hook input priority 5; policy accept;
                    ip saddr @bad drop
                }
            }

            """)
        defer { machine.close() }
        try await machine.mustRun(
            [
                "nft",
                "add table inet f2b-table; add chain inet f2b-table in { type filter hook input priority 6; }; "
                    + "add rule inet f2b-table in ip saddr 198.51.100.200 drop",
            ])
        let rehearsed = try await rehearse(Self.answers, backend, on: machine)
        #expect(rehearsed.status == 0, "\(rehearsed.text)")
        for (source, rule) in [
            ("198.51.100.7", "table netdev early, chain first: ip saddr 198.51.100.7 tcp dport 22 drop"),
            ("10.1.2.3", "table inet bans, chain in: ip saddr @bad drop"),
        ] {
            #expect(
                rehearsed.text.contains("Another program blocks \(source), which the answers allow: \(rule)"),
                "\(rehearsed.text)")
        }
        #expect(!rehearsed.text.contains("198.51.100.200"))
    }
}
