import Foundation
import Glibc
import TestSupport
import Testing

/// The backend nftables: a table of latchkey's own, for both families.
@Suite("The backend nftables", .kernel, .inTurn)
struct NFTablesTests {
    static let answers = """
        version: 1
        admins: [192.168.1.33]
        services: [web]
        ssh: { ports: [22], from: everyone }

        """

    /// Somebody else's table, and what was kept earlier: only port 2200 is open.
    private static let earlier = """
        table inet other {
            chain input { type filter hook input priority 10; policy accept; tcp dport 9999 counter drop; }
        }
        table inet latchkey {
            chain input {
                type filter hook input priority filter; policy drop;
                ct state established,related accept
                meta l4proto ipv6-icmp accept
                tcp dport 2200 counter accept
            }
        }
        """

    static func apply(
        _ machine: Machine, _ text: String = answers, _ more: String...
    ) async throws -> Finished {
        let file = try machine.root.write(text, to: "nftables.yaml")
        let words = ["apply", "--answers", file, "--backend", "nftables", "--no-rehearsal"]
        let time = more.contains("--deadline") ? [] : ["--deadline", "5m"]
        return try await Latchkey.run(
            words + time + more, root: machine.root, in: machine.namespace, timeout: .seconds(90))
    }

    static func expectDone(
        _ finished: Finished, _ status: Int32 = 0, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(finished.status == status, "\(finished.errors)", sourceLocation: location)
    }

    /// Expects the earlier rules to decide: 2200 is open, 80 is not.
    static func expectEarlier(
        from outside: NetworkNamespace, at location: SourceLocation = #_sourceLocation
    ) async throws {
        #expect(try await outside.reachesByBoth(2200), "the previous rules allow port 2200", sourceLocation: location)
        #expect(try await outside.reachesByNeither(80), "the previous rules drop port 80", sourceLocation: location)
    }

    static func expectNew(
        from outside: NetworkNamespace, at location: SourceLocation = #_sourceLocation
    ) async throws {
        #expect(try await outside.reachesByBoth(80), "the new rules allow port 80", sourceLocation: location)
        #expect(try await outside.reachesByNeither(2200), "the new rules drop port 2200", sourceLocation: location)
    }

    @Test("pending rules are active on top of the previous ones, and a rollback leaves nothing of them")
    func revert() async throws {
        try await Machine.withOutside(.nft) { machine, outside in
            try await machine.nft(Self.earlier)
            let before = try await machine.listing()
            try await Self.expectEarlier(from: outside)
            Self.expectDone(try await Self.apply(machine, Self.answers, "--detach"))
            try await Self.expectNew(from: outside)
            let status = try await machine.status()
            #expect(status.text("backend") == "nftables")
            #expect(status.text("gate") == "timeout")
            #expect(status.truth("drift") == false)
            #expect(try await machine.listing().contains("tcp dport 2200 counter accept"))
            Self.expectDone(try await machine.latchkey("revert"))
            try await Self.expectEarlier(from: outside)
            #expect(try await machine.listing() == before)
            // A machine without a table of latchkey's has none afterwards.
            try await machine.nft("delete table inet latchkey")
            let bare = try await machine.listing()
            Self.expectDone(try await Self.apply(machine, Self.answers, "--detach"))
            Self.expectDone(try await machine.latchkey("revert"))
            #expect(try await machine.listing() == bare)
        }
    }

    @Test("at the deadline the previous rules decide again")
    func deadline() async throws {
        try await Machine.withOutside(.nft) { machine, outside in
            try await machine.nft(Self.earlier)
            let before = try await machine.listing()
            let finished = try await Self.apply(machine, Self.answers, "--deadline", "10s")
            Self.expectDone(finished, 3)
            #expect(
                finished.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains(
                    "active again (verified)"))
            try await Self.expectEarlier(from: outside)
            #expect(try await machine.listing() == before)
        }
    }

    @Test("kept rules replace the earlier ones in one step, and the saved file loads the same table")
    func kept() async throws {
        try await Machine.withOutside(.nft) { machine, outside in
            try await machine.nft(Self.earlier)
            let others = try await machine.namespace.mustRun(["nft", "-s", "list", "table", "inet", "other"])
            Self.expectDone(try await Self.apply(machine, Self.answers, "--detach"))
            Self.expectDone(try await machine.latchkey("confirm"))
            try await Self.expectNew(from: outside)
            let table = try await machine.namespace.mustRun(["nft", "-s", "list", "table", "inet", "latchkey"])
            #expect(!table.contains("trial") && !table.contains("2200"))
            #expect(table.contains("type filter hook input priority filter; policy drop;"))
            #expect(try await machine.namespace.mustRun(["nft", "-s", "list", "table", "inet", "other"]) == others)
            let status = try await machine.status()
            #expect(status.text("state") == "kept")
            #expect(status.truth("drift") == false)

            let saved = "\(machine.root.path)/var/lib/latchkey/restore/nftables.rules"
            let elsewhere = try await NetworkNamespace()
            defer { elsewhere.close() }
            // Twice: the file gives the table exactly this content, whatever it contained.
            for _ in 1...2 { try await elsewhere.mustRun(["nft", "-f", saved]) }
            #expect(try await elsewhere.mustRun(["nft", "-s", "list", "ruleset"]) == table)

            try await machine.nft("add rule inet latchkey input tcp dport 4444 accept")
            #expect(try await machine.status().truth("drift") == true)
        }
    }

    @Test("a boot at which the file cannot be loaded leaves SSH and the admins open, and nothing else")
    func fallback() async throws {
        try await Machine.withOutside(.nft) { machine, outside in
            Self.expectDone(try await Self.apply(machine, Self.answers, "--detach"))
            Self.expectDone(try await machine.latchkey("confirm"))
            let unit = try machine.root.read("etc/systemd/system/latchkey-restore.service")
            let starts = unit.split(separator: "\n").filter { $0.hasPrefix("ExecStart=") }.map {
                $0.replacing("/var/lib", with: "\(machine.root.path)/var/lib")
            }
            #expect(unit.contains("After=local-fs.target systemd-modules-load.service nftables.service"))
            #expect(unit.contains("PartOf=nftables.service"))
            #expect(unit.contains("Before=network-pre.target"))
            func boot() async throws -> Int32 {
                try await machine.nft("flush ruleset")
                var last: Int32 = 0
                for start in starts {
                    last = try await machine.namespace.run(["sh", "-c", String(start.drop { $0 != "/" })]).status
                }
                return last
            }
            #expect(try await boot() == 0)
            try await Self.expectNew(from: outside)
            let table = try await machine.listing()
            let file = "var/lib/latchkey/restore/nftables.rules"
            try machine.root.write(try machine.root.read(file) + "oops\n", to: file)
            #expect(try await boot() != 0)
            // As after a boot, nobody knows its neighbours yet.
            for namespace in [outside, machine.namespace] {
                try await namespace.mustRun(["ip", "-6", "neigh", "flush", "all"])
            }
            #expect(try await outside.reachesByBoth(22), "SSH stays open")
            #expect(try await outside.reachesByNeither(80), "nothing else is open")
            let small = try await machine.listing()
            for line in small.split(separator: "\n")
            where line.contains("accept") && !line.contains("icmpv6")
                && !line.contains("tcp dport 22 accept")
            {
                #expect(table.contains(line), "nothing is open that the kept rules do not open: \(line)")
            }
        }
    }

    @Test("with every process killed or stopped the previous rules decide within 20 s", arguments: [SIGKILL, SIGSTOP])
    func nobodyLeft(signal: Int32) async throws {
        let pair = try await NamespacePair()
        defer { pair.close() }
        try await FaultScene.with(.nft, existing: "keep", in: pair.server) { scene in
            try await scene.server.mustRun(["nft", "-f", "-"], input: Array("flush ruleset\n\(Self.earlier)\n".utf8))
            let words = scene.words(300).map { $0 == "nft" ? "nftables" : $0 }
            Self.expectDone(try await scene.latchkey(words + ["--detach"]))
            try await Self.expectNew(from: pair.outside)
            if signal == SIGKILL { try await scene.killAll() } else { try await scene.stopAll() }
            let end = ContinuousClock.now + .seconds(20)
            var isBack = false
            while !isBack, ContinuousClock.now < end {
                isBack = try await pair.outside.reachesByBoth(2200)
                if isBack { isBack = try await pair.outside.reachesByNeither(80) }
            }
            #expect(isBack, "the kernel goes on with the new rules")
            Self.expectDone(try await scene.latchkey(["status"]))
            #expect([0, 6].contains(try await scene.latchkey(["revert"]).status))
            try await Self.expectEarlier(from: pair.outside)
        }
    }

    @Test("what another program flushes while the rules are pending is loaded again, and the login does not count")
    func flushed() async throws {
        try await Machine.withOutside(.nft) { machine, outside in
            Self.expectDone(try await Self.apply(machine, Self.answers, "--detach"))
            try await machine.nft("flush ruleset")
            // The guard may have noticed before, when it renewed the gate.
            let first = try await machine.latchkey("confirm")
            #expect([0, 7].contains(first.status), "\(first.errors)")
            try await Self.expectNew(from: outside)
            if first.status == 7 { Self.expectDone(try await machine.latchkey("confirm")) }
            try await Self.expectNew(from: outside)
        }
    }

    @Test("a long list of addresses is one set, which a change of other answers does not touch")
    func sets() async throws {
        try await Machine.withOutside(.nft) { machine, _ in
            let addresses = (1...300).map { "10.1.\($0 / 200).\($0 % 200)\n" }.joined()
            try machine.root.write(addresses, to: "admins.txt")
            let text = Self.answers.replacing("[192.168.1.33]", with: "[{ file: admins.txt }, \"2001:db8::7\"]")
            Self.expectDone(try await Self.apply(machine, text, "--detach"))
            Self.expectDone(try await machine.latchkey("confirm"))
            let table = try await machine.listing()
            #expect(table.contains("ip saddr @latchkey-4-") && table.contains("10.1.1.100"))
            #expect(table.contains("ip6 saddr 2001:db8::7 counter accept"))
            #expect(try await machine.status().truth("drift") == false)
            Self.expectDone(try await Self.apply(machine, text.replacing("[web]", with: "[web, dns]"), "--detach"))
            #expect(!(try await machine.listing().contains("set trial-latchkey")))
            Self.expectDone(try await machine.latchkey("revert"))
            #expect(try await machine.listing() == table)
            // A shorter list takes the set's place, and the set goes.
            Self.expectDone(try await Self.apply(machine, Self.answers, "--detach"))
            Self.expectDone(try await machine.latchkey("confirm"))
            #expect(!(try await machine.listing().contains("set latchkey-4-")))
        }
    }

    @Test("existing: replace is refused where iptables has tables")
    func replace() async throws {
        try await Machine.with(.nft) { machine in
            try await machine.load { _ in
                "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 9 -j DROP\nCOMMIT\n"
            }
            let before = try await machine.listing()
            let finished = try await Self.apply(machine, Self.answers + "existing: replace\n", "--detach")
            Self.expectDone(finished, 69)
            #expect(finished.errors.contains("existing: keep"))
            #expect(try await machine.listing() == before)
        }
    }

    @Test(
        "from iptables to nftables and back: the kept rules of the other backend go with the keep, not before",
        arguments: TestBackend.installed, Existing.allCases)
    func switching(backend: TestBackend, existing: Existing) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            let iptables = try machine.root.write(
                "version: 1\nadmins: []\nssh: { ports: [2200], from: everyone }\nexisting: \(existing.rawValue)\n",
                to: "iptables.yaml")
            let words = ["apply", "--answers", iptables, "--no-rehearsal", "--detach", "--deadline", "5m"]
            func run(_ more: String...) async throws -> Finished {
                try await Latchkey.run(words + more, root: machine.root, in: machine.namespace, timeout: .seconds(90))
            }
            Self.expectDone(try await run("--backend", backend.rawValue))
            Self.expectDone(try await machine.latchkey("confirm"))
            try await Self.expectEarlier(from: outside)
            let before = try await machine.rules()

            Self.expectDone(try await Self.apply(machine, Self.answers, "--detach"))
            try await Self.expectNew(from: outside)
            Self.expectDone(try await machine.latchkey("revert"))
            try await Self.expectEarlier(from: outside)
            #expect(try await machine.rules() == before)

            Self.expectDone(try await Self.apply(machine, Self.answers, "--detach"))
            Self.expectDone(try await machine.latchkey("confirm"))
            try await Self.expectNew(from: outside)
            #expect(!(try await machine.rules().contains("latchkey")))
            #expect(try await machine.status().truth("drift") == false)
            let id = try #require(try await machine.status().text("snapshot"))

            // Without --backend, the last kept one is used.
            Self.expectDone(try await Self.apply(machine, Self.answers.replacing("[web]", with: "[dns]"), "--detach"))
            #expect(try await machine.status().text("backend") == "nftables")
            Self.expectDone(try await machine.latchkey("revert"))

            // And back, by the snapshot.
            Self.expectDone(
                try await machine.latchkey("snapshots", "restore", id, "--no-rehearsal", "--detach", "--deadline", "5m")
            )
            try await Self.expectEarlier(from: outside)
            Self.expectDone(try await machine.latchkey("confirm"))
            try await Self.expectEarlier(from: outside)
            #expect(!(try await machine.listing().contains("table inet latchkey")))
            #expect(try await machine.rules() == before)
        }
    }

    // MARK: A file for nft

    private static func table(_ ssh: String, bad: String, more: String = "") -> String {
        """
        table inet filter {
            set bad { type ipv4_addr; elements = { \(bad) }; }
            set ssh { type inet_service; elements = { 2200 }; }
            chain input {
                type filter hook input priority filter; policy drop;
                ct state established,related accept
                meta l4proto ipv6-icmp accept
                ip saddr @bad drop
                jump ssh
            }
            chain ssh {
                \(ssh)
            }
            \(more)
        }

        """
    }

    @Test("a file for nft is tried on top of the table that it names, and kept in its place")
    func handWritten() async throws {
        try await Machine.withOutside(.nft) { machine, outside in
            try await machine.nft(Self.table("tcp dport 2200 accept", bad: "203.0.113.7"))
            try await machine.nft("table inet other { chain c { counter; }; }")
            let before = try await machine.listing()
            // The same names with other contents, a way back by "return", a chain at another hook, a map that leads to
            // a chain, and what nft lists in another form each time.
            let file = try machine.root.write(
                "flush ruleset\n"
                    + Self.table(
                        "tcp dport 2200 return\n tcp dport vmap @ways\n tcp dport { 80, 80 } accept",
                        bad: "203.0.113.8, 203.0.113.9",
                        more: """
                            chain way { counter; }
                            map ways { type inet_service : verdict; elements = { 99 : goto way }; }
                            chain output { type filter hook output priority filter; policy accept; }
                            """),
                to: "rules.nft")
            let words = [
                "apply", "--rules", file, "--backend", "nftables", "--no-rehearsal", "--detach", "--deadline", "5m",
            ]
            func apply() async throws {
                Self.expectDone(
                    try await Latchkey.run(words, root: machine.root, in: machine.namespace, timeout: .seconds(90)))
            }
            try await apply()
            try await Self.expectNew(from: outside)
            #expect(try await machine.status().truth("drift") == false)
            Self.expectDone(try await machine.latchkey("revert"))
            try await Self.expectEarlier(from: outside)
            #expect(try await machine.listing() == before)

            try await apply()
            Self.expectDone(try await machine.latchkey("confirm"))
            try await Self.expectNew(from: outside)
            let kept = try await machine.listing()
            #expect(!kept.contains("trial") && !kept.contains("203.0.113.7") && kept.contains("table inet other"))
            #expect(kept.contains("203.0.113.8") && kept.contains("type filter hook output priority filter"))
            let status = try await machine.status()
            #expect(status.truth("drift") == false)
            let id = try #require(status.text("snapshot"))
            Self.expectDone(
                try await machine.latchkey("snapshots", "restore", id, "--no-rehearsal", "--detach", "--deadline", "5m")
            )
            try await Self.expectEarlier(from: outside)
            Self.expectDone(try await machine.latchkey("confirm"))
            try await Self.expectEarlier(from: outside)
            let restored = try await machine.listing()
            #expect(restored.split(separator: "\n").sorted() == before.split(separator: "\n").sorted())
        }
    }

    @Test(
        "a file that nft refuses, or that cannot be tried, is bad data, with its line",
        arguments: [
            ("table inet filter {\n chain c {\n  tcp dprot 22 accept\n }\n}\n", "rules.nft:3: ", "tcp dprot 22 accept"),
            ("table bridge b { chain c { counter; }; }\n", "rules.nft: ", "table bridge b"),
            ("table inet t { set trial { type ipv4_addr; }; }\n", "rules.nft: ", "reserved"),
            ("\n", "rules.nft: ", "no table"),
        ])
    func badFile(text: String, place: String, named: String) async throws {
        try await Machine.with(.nft) { machine in
            let file = try machine.root.write(text, to: "rules.nft")
            let finished = try await machine.latchkey(
                "apply", "--rules", file, "--backend", "nftables", "--no-rehearsal", "--detach")
            Self.expectDone(finished, 65)
            let said = finished.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(said.contains(place) && said.contains(named), "\(finished.errors)")
            #expect(try await machine.listing().isEmpty)
        }
    }
}
