import Glibc
import Host
import Netfilter
import TestSupport
import Testing

@testable import Policy
@testable import Rehearsal

/// A packet that a stranger or an admin sends, and what is promised of it.
private func asked(_ packet: PacketExpectation.Packet, _ from: String, isAccepted: Bool) throws -> PacketExpectation {
    let source = try IPAddress(parsing: from)
    return PacketExpectation(
        role: .stranger, direction: .in, source: source, target: try Scene.server(source.family), packet: packet,
        sourcePort: nil, isAccepted: isAccepted, answer: nil)
}

@Suite("Counters and traces of nf_tables", .kernel, .inTurn, .tool("nft"))
struct NFTablesCountersTests {
    /// latchkey's table, as the backend nftables makes it.
    private static let own = """
        table inet latchkey {
            chain input {
                type filter hook input priority filter; policy drop;
                ct state established,related counter accept comment "latchkey: replies"
                icmpv6 type { 133, 134, 135, 136 } counter accept comment "latchkey: neighbours"
                ip saddr 192.168.1.33 counter accept comment "latchkey: admins"
                tcp dport { 22, 443 } counter accept comment "latchkey: web"
                counter drop comment "latchkey: drop all else"
            }
        }

        """
    private static let toolbox = Toolbox(layout: Layout(root: nil))

    private static func verdicts(_ tables: String, _ expectations: [PacketExpectation]) async throws -> [Verdict] {
        let stage = try await Scene.open()
        defer { stage.close() }
        let counters = try NFTablesCounters(families: Family.allCases, toolbox: toolbox, runner: StageRunner(stage))
        let rehearsal = Rehearsal(
            on: stage, counters: counters, kernelTrace: KernelTrace(on: stage, toolbox: toolbox))
        try await rehearsal.listen(for: expectations)
        try await stage.run(["nft", "-f", "-"], input: tables)
        let verdicts = try await rehearsal.verdicts(expectations, untested: [:])
        // Nothing of the trace stays.
        let left = try await stage.run(["nft", "list", "tables"])
        #expect(!left.contains(KernelTrace.table))
        return verdicts
    }

    @Test("the rule that decided is found for accept and drop, of both families")
    func own() async throws {
        let expectations = try [
            asked(.tcp(443), Scene.strangers[0], isAccepted: true),
            asked(.tcp(443), Scene.strangers[1], isAccepted: true),
            asked(.tcp(80), Scene.admins[0], isAccepted: true), asked(.tcp(80), Scene.strangers[0], isAccepted: false),
            asked(.udp(53), Scene.strangers[1], isAccepted: false),
            asked(.strayError, Scene.strangers[0], isAccepted: false),
            asked(.neighbour, Scene.strangers[1], isAccepted: true),
        ]
        let verdicts = try await Self.verdicts(Self.own, expectations)
        #expect(verdicts.filter { !$0.isAsPromised }.isEmpty)
        #expect(
            verdicts.map { $0.decision?.comment } == [
                "latchkey: web", "latchkey: web", "latchkey: admins", "latchkey: drop all else",
                "latchkey: drop all else", "latchkey: drop all else", "latchkey: neighbours",
            ])
        #expect(
            verdicts[0].decision?.text == "table inet latchkey, chain input: "
                + #"tcp dport { 22, 443 } counter accept comment "latchkey: web""#)
    }

    @Test("packets that vanish ahead of every table are not waited for one by one")
    func vanished() async throws {
        let stage = try await Scene.open()
        defer { stage.close() }
        let counters = try NFTablesCounters(
            families: Family.allCases, toolbox: Self.toolbox, runner: StageRunner(stage))
        let rehearsal = Rehearsal(
            on: stage, counters: counters, kernelTrace: KernelTrace(on: stage, toolbox: Self.toolbox))
        let other = "table inet other { chain in { type filter hook input priority 5; tcp dport 9 drop; }; }\n"
        try await stage.run(["nft", "-f", "-"], input: Self.own + other)
        let gone = "table inet gone { chain out { type filter hook output priority 0; meta l4proto tcp drop; }; }\n"
        try await stage.run(["nft", "-f", "-"], input: gone, in: .outside)
        let expectations = try (1000..<1024).map { try asked(.tcp($0), Scene.strangers[0], isAccepted: true) }
        let begun = ContinuousClock.now
        let verdicts = try await rehearsal.verdicts(expectations, untested: [:])
        #expect(verdicts.allSatisfy { $0.observation == .dropped && $0.decision == nil })
        // Five seconds for each packet would be two minutes.
        #expect(ContinuousClock.now - begun < .seconds(40))
    }

    @Test("another program's table without counters is named: its policy, its rule, ahead of latchkey's or after it")
    func foreign() async throws {
        for priority in [-10, 10] {
            let other = """
                table inet firewalld {
                    chain filter_INPUT {
                        type filter hook input priority \(priority); policy drop;
                        ct state established,related accept
                        icmpv6 type { 133, 134, 135, 136 } accept
                        tcp dport 22 accept
                        ip saddr 192.168.1.33 goto admins
                    }
                    chain admins {
                        tcp dport 80 reject with tcp reset
                        accept
                    }
                }

                """
            let verdicts = try await Self.verdicts(
                Self.own + other,
                [
                    asked(.tcp(22), Scene.strangers[0], isAccepted: true),
                    asked(.tcp(443), Scene.strangers[0], isAccepted: true),
                    asked(.tcp(443), Scene.strangers[1], isAccepted: true),
                    asked(.tcp(80), Scene.admins[0], isAccepted: true),
                    asked(.tcp(443), Scene.admins[0], isAccepted: true),
                ])
            #expect(verdicts.map(\.observation) == [.accepted, .dropped, .dropped, .dropped, .accepted])
            #expect(
                verdicts.map { $0.decision?.text.replacing("table inet firewalld, chain ", with: "") }.dropFirst()
                    .prefix(3) == [
                        "filter_INPUT: policy drop", "filter_INPUT: policy drop",
                        "admins: tcp dport 80 reject with tcp reset",
                    ])
            #expect(verdicts[0].decision?.comment == "latchkey: web")
            #expect(verdicts[4].decision?.comment == "latchkey: admins")
        }
    }
}

@Suite("Tables made with nft beside iptables", .kernel, .inTurn, .tool("nft"))
struct ForeignTableTests {
    private static let answers = "version: 1\nadmins: [192.168.1.33]\nservices: [web]\n"
    private static let firewalld = """
        table inet firewalld {
            chain filter_INPUT {
                type filter hook input priority filter + 10; policy drop;
                ct state established,related accept
                iifname "lo" accept
                icmp type != echo-request accept
                icmpv6 type != echo-request accept
                ip saddr 192.168.1.33 accept
                tcp dport 22 accept
            }
            chain nat_PREROUTING {
                type nat hook prerouting priority dstnat; policy accept;
                tcp dport 22 redirect to :9
            }
        }

        """

    private func machine(_ tables: String) async throws -> NetworkNamespace {
        let machine = try await NetworkNamespace()
        try await machine.mustRun(["nft", "-f", "-"], input: Array(tables.utf8))
        return machine
    }

    @Test(
        "one that closes a service is named by the rehearsal and by the trace, and one that closes SSH is refused",
        arguments: ["nftables"] + TestBackend.installed.map(\.rawValue))
    func named(backend: String) async throws {
        let root = try TemporaryFolder()
        let file = try root.write(Self.answers, to: "answers.yaml")
        let machine = try await machine(Self.firewalld)
        defer { machine.close() }
        let before = try await machine.mustRun(["nft", "list", "ruleset"])
        let words = ["--answers", file, "--backend", backend]
        let finished = try await Latchkey.run(["rehearse"] + words, root: root, in: machine, timeout: .seconds(180))
        #expect(finished.status == 0, "\(finished.errors)")
        let said = finished.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(
            said.contains("found closed by table inet firewalld, chain filter_INPUT (policy drop)"),
            "\(finished.errors)")
        #expect(said.contains("other programs decide the rest"))
        // The nat chain of the table is not loaded: SSH is not sent elsewhere.
        #expect(!finished.errors.contains("22/tcp"))
        #expect(!finished.errors.contains("ran without"))
        let traced = try await Latchkey.run(["trace", "198.51.100.9", "tcp/443"] + words, root: root, in: machine)
        #expect(traced.output.contains("=> table inet firewalld, chain filter_INPUT: policy drop"), "\(traced.output)")
        #expect(traced.output.contains("Blocked."))
        #expect(try await machine.mustRun(["nft", "list", "ruleset"]).contains(before))

        try await machine.mustRun(
            ["nft", "-f", "-"],
            input: Array("flush ruleset\n\(Self.firewalld.replacing("tcp dport 22 accept", with: ""))".utf8))
        let refused = try await Latchkey.run(["rehearse"] + words, root: root, in: machine, timeout: .seconds(180))
        #expect(refused.status == 4, "\(refused.errors)")
        #expect(refused.errors.contains("22/tcp") && refused.errors.contains("chain filter_INPUT"))
    }

    @Test("a dormant table does nothing, and one that cannot be loaded is said to be left out")
    func leftOut() async throws {
        let root = try TemporaryFolder()
        let file = try root.write(Self.answers, to: "answers.yaml")
        let machine = try await machine(
            """
            table inet asleep {
                flags dormant
                chain input {
                    type filter hook input priority filter; policy drop;
                }
            }
            table netdev guard {
                chain in {
                    type filter hook ingress device "lo" priority filter; policy accept;
                }
            }

            """)
        defer { machine.close() }
        // An interface without an address is not on the stage.
        try await machine.mustRun(["ip", "link", "add", "here0", "type", "veth", "peer", "name", "far0"])
        try await machine.mustRun(
            ["nft", "add table inet far; add chain inet far c; add rule inet far c iif here0 drop"])
        let finished = try await Latchkey.run(["rehearse", "--answers", file], root: root, in: machine)
        #expect(finished.status == 0, "\(finished.errors)")
        let said = finished.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(said.contains("The rehearsal ran without the table inet far:"), "\(said)")
        #expect(!said.contains("netdev guard"))
    }

    @Test("a table of iptables-nft that iptables cannot print takes part as nft prints it", .root)
    func unprintable() async throws {
        let root = try TemporaryFolder()
        let file = try root.write(Self.answers, to: "answers.yaml")
        let machine = try await machine(
            """
            table ip mangle {
                chain PREROUTING {
                    type filter hook prerouting priority mangle; policy accept;
                    tcp dport 443 fib daddr type local drop
                }
            }

            """)
        defer { machine.close() }
        let finished = try await Latchkey.run(
            ["rehearse", "--answers", file, "--backend", "nft"], root: root, in: machine)
        #expect(!finished.errors.contains("ran without"), "\(finished.errors)")
        #expect(finished.errors.contains("packets as expected") || finished.errors.contains("closed by"))
        #expect(finished.errors.contains("table ip mangle, chain PREROUTING"), "\(finished.errors)")
    }

    @Test("a table that a running program owns takes part")
    func owned() async throws {
        let root = try TemporaryFolder()
        let file = try root.write(Self.answers, to: "answers.yaml")
        let machine = try await machine("")
        defer { machine.close() }
        // The kernel removes such a table when its owner ends, which is when its input ends.
        var ends: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
        let text =
            "table inet own { flags owner; chain in { type filter hook input priority 5; tcp dport 443 drop; }; }\n"
        #expect(write(ends[1], text, text.utf8.count) == text.utf8.count)
        let owner = try Child.start(try machine.enterCommand(["nft", "-i"]), input: ends[0], output: 2, errors: 2)
        close(ends[0])
        defer {
            close(ends[1])
            var status: Int32 = 0
            waitpid(owner.id, &status, 0)
        }
        _ = try await eventually {
            try await machine.mustRun(["nft", "list", "tables"]).contains("inet own") ? 1 : nil
        }
        let finished = try await Latchkey.run(["rehearse", "--answers", file], root: root, in: machine)
        #expect(finished.status == 4)
        #expect(
            finished.errors.contains("closed by table inet own, chain in: tcp dport 443 drop"), "\(finished.errors)")
    }

    @Test("the backend nftables traces through its own table, others', and iptables' rules of both kinds", .root)
    func live() async throws {
        let root = try TemporaryFolder()
        let machine = try await machine(
            Self.firewalld + """
                table inet latchkey {
                    chain input {
                        type filter hook input priority filter; policy drop;
                        ct state established,related counter accept comment "latchkey: replies"
                        tcp dport { 22, 443, 8080, 8081 } counter accept comment "latchkey: web"
                        counter drop comment "latchkey: drop all else"
                    }
                }

                """)
        defer { machine.close() }
        for backend in TestBackend.installed {
            let port = backend == .nft ? 8080 : 8081
            try await machine.restore(
                "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport \(port) -m comment --comment "
                    + "\"by \(backend.rawValue)\" -m recent --name who --set -j DROP\nCOMMIT\n", .ipv4, backend)
        }
        func traced(_ packet: String) async throws -> String {
            let words = ["trace", "198.51.100.9", packet, "--live", "--backend", "nftables"]
            let finished = try await Latchkey.run(words, root: root, in: machine)
            #expect(finished.status == 0, "\(finished.errors)")
            #expect(!finished.errors.contains("ran without"), "\(finished.errors)")
            return finished.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        }
        #expect(try await traced("tcp/22").contains(#"=> table inet latchkey, chain input: tcp dport { 22,"#))
        #expect(
            try await traced("tcp/80").contains(
                #"=> table inet latchkey, chain input: counter drop comment "latchkey: drop all else" Blocked."#))
        #expect(
            try await traced("tcp/443").contains("=> table inet firewalld, chain filter_INPUT: policy drop Blocked."))
        #expect(try await traced("tcp/8080").contains("=> table ip filter, chain INPUT: tcp dport 8080"))
        #expect(try await traced("tcp/8081").contains("Result: silent."))
    }
}
