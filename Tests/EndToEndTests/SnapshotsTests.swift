import TestSupport
import Testing

@Suite("Restoring a snapshot", .kernel, .inTurn)
struct SnapshotsTests {
    @Test(
        "a kept restore brings back tables, counters, answers and the files loaded at boot",
        arguments: TestBackend.installed)
    func restore(backend: TestBackend) async throws {
        let server = try await ChangedServer(backend)
        let before = try await server.dump()
        let first = try await server.keep()
        let second = try await server.keep("version: 1\nservices: [mail]\nports: [8080/tcp]\nexisting: replace\n")
        #expect(try await server.read("/etc/latchkey/answers.yaml").contains("mail"))

        // Back to the first change: its answers, its saved rules, and no drift.
        try await server.must("snapshots", "restore", second, "--detach")
        #expect(try await server.read("/etc/latchkey/answers.yaml").contains("mail"))
        try await server.must("confirm", "--same-connection")
        #expect(try await server.read("/etc/latchkey/answers.yaml").contains("web"))
        #expect(try await server.read("/var/lib/latchkey/restore/ipv4.rules").contains("80,443"))
        #expect(try await server.must("status", "--json").contains("\"drift\":false"))
        try await server.namespace.mustRun([backend.tool(.ipv4), "-I", "INPUT", "-p", "tcp", "-j", "ACCEPT"])
        #expect(try await server.must("status", "--json").contains("\"drift\":true"))

        // Back to before all changes: no files of latchkey's are left to load.
        try await server.must("snapshots", "restore", first, "--detach")
        try await server.must("confirm", "--same-connection")
        #expect(RuleText.essence(try await server.dump()) == RuleText.essence(before))
        #expect(try await server.namespace.dump(.ipv4, backend, counters: true).contains("[5:300] -A INPUT"))
        let left = try await server.shell("ls $R/etc/latchkey $R/etc/systemd/system $R/var/lib/latchkey/restore")
        #expect(!left.contains("answers.yaml") && !left.contains(".service") && !left.contains(".rules"))
        #expect(try await server.must("status", "--json").contains("\"drift\":false"))
    }

    @Test("a restore that is not confirmed reverts by itself, and exits with 3", arguments: TestBackend.installed)
    func unkept(backend: TestBackend) async throws {
        let server = try await ChangedServer(backend)
        let id = try await server.keep()
        let kept = try await server.dump()
        let saved = try await server.read("/var/lib/latchkey/restore/ipv4.rules")

        let finished = try await server.latchkey("snapshots", "restore", id, "--deadline", "10", "--json")
        #expect(finished.status == 3, "\(finished.errors)")
        #expect(finished.output.contains("\"outcome\":\"reverted\"") && finished.output.contains("\"verified\":true"))
        #expect(RuleText.essence(try await server.dump()) == RuleText.essence(kept))
        #expect(try await server.read("/var/lib/latchkey/restore/ipv4.rules") == saved)
    }

    @Test("while a restore is pending another one exits with 5, and revert ends it", arguments: TestBackend.installed)
    func pending(backend: TestBackend) async throws {
        let server = try await ChangedServer(backend)
        let id = try await server.keep()
        let kept = try await server.dump()
        try await server.must("snapshots", "restore", id, "--detach")
        #expect(RuleText.essence(try await server.dump()) != RuleText.essence(kept))
        #expect(try await server.latchkey("snapshots", "restore", id, "--detach").status == 5)
        #expect(try await server.must("status", "--history", "--json").contains("\"outcome\":\"pending\""))
        try await server.must("revert")
        #expect(RuleText.essence(try await server.dump()) == RuleText.essence(kept))
        #expect(try await server.state() == "reverted")
    }

    @Test("missing sets are created again; a revert removes them", arguments: TestBackend.installed)
    func sets(backend: TestBackend) async throws {
        let server = try await ChangedServer(backend)
        try await server.shell("ipset create bans hash:ip; ipset add bans 192.0.2.77")
        let rule = ["INPUT", "-m", "set", "--match-set", "bans", "src", "-j", "DROP"]
        try await server.namespace.mustRun([backend.tool(.ipv4), "-A"] + rule)
        let before = try await server.dump()
        let id = try await server.keep()
        // With legacy, flushing the table removed the rule; a set that no rule uses can be removed.
        try await server.shell("ipset destroy bans")

        try await server.must("snapshots", "restore", id, "--detach")
        #expect(try await server.shell("ipset save").contains("add bans 192.0.2.77"))
        try await server.must("revert")
        #expect(try await server.shell("ipset save").isEmpty)

        try await server.must("snapshots", "restore", id, "--detach")
        try await server.must("confirm", "--same-connection")
        #expect(RuleText.essence(try await server.dump()) == RuleText.essence(before))
    }

    @Test("a snapshot of the other backend is restored with that backend, and the output says so")
    func otherBackend() async throws {
        let standard = try await mustRun(["iptables", "--version"]).contains("nf_tables") ? TestBackend.nft : .legacy
        for backend in TestBackend.installed where backend != standard {
            let server = try await ChangedServer(backend)
            let before = try await server.dump()
            let id = try await server.keep()
            let finished = try await server.latchkey("snapshots", "restore", id, "--detach")
            #expect(finished.status == 0, "\(finished.errors)")
            #expect(finished.errors.contains("iptables-\(backend.rawValue)"))
            try await server.must("confirm", "--same-connection")
            #expect(RuleText.essence(try await server.dump()) == RuleText.essence(before))
        }
    }

    @Test("list, show and diff describe a snapshot and later changes", arguments: TestBackend.installed)
    func reading(backend: TestBackend) async throws {
        let server = try await ChangedServer(backend)
        let id = try await server.keep()
        let list = try await server.must("snapshots")
        #expect(list.hasPrefix("SNAPSHOT") && list.contains(id) && list.contains("kept"))
        #expect(list.split(separator: "\n").allSatisfy { $0.count <= 80 })

        let shown = try await server.must("snapshots", "show", id, "--family", "ipv4")
        try await server.namespace.mustRun([backend.tool(.ipv4, "restore"), "--test"], input: Array(shown.utf8))
        #expect(shown.contains("--dport 9 "))
        #expect(try await server.must("snapshots", "show", id, "--json").contains("\"rules\":{\"ipv4\":"))

        let difference = try await server.must("snapshots", "diff", id)
        #expect(difference.contains("-filter -A INPUT -p tcp -m tcp --dport 9 -j DROP\n"))
        #expect(difference.contains("+filter -P INPUT DROP\n"))
        let second = try await server.keep()
        let same = try await server.must("snapshots", "diff", second, "--json")
        #expect(
            same == "{\"from\":\"\(second)\",\"ipv4\":[],\"ipv6\":[],\"nftables\":[],\"same\":true,\"to\":\"live\"}\n")
        #expect(try await server.must("snapshots", "diff", id, second).contains("+filter -P INPUT DROP\n"))
        #expect(try await server.latchkey("snapshots", "show", "20010101-000000").status == 65)
        #expect(try await server.latchkey("snapshots", "show", "../\(id)").status == 65)
    }

    @Test("prune keeps the newest snapshots, and always those needed for a rollback", arguments: TestBackend.installed)
    func prune(backend: TestBackend) async throws {
        let server = try await ChangedServer(backend)
        let kept = try await server.keep()
        let reverted = try await server.apply()
        try await server.must("revert")
        let last = try await server.apply()
        try await server.must("revert")
        let pending = try await server.apply()
        #expect(try await server.snapshots() == [kept, reverted, last, pending])

        #expect(try await server.must("snapshots", "prune").isEmpty)
        #expect(try await server.must("snapshots", "prune", "--keep", "0") == "\(reverted)\n\(last)\n")
        #expect(try await server.snapshots() == [kept, pending])
        try await server.must("revert")
        #expect(try await server.state() == "reverted")
        try await server.must("snapshots", "restore", kept, "--detach")
        try await server.must("revert")
        #expect(try await server.latchkey("snapshots", "prune", "--keep", "-1").status == 64)
    }
}

/// iptables-save's text of a whole machine, without tables that accept everything.
enum RuleText {
    /// The lines that affect packets; legacy tools continue to print a table that was touched once.
    static func essence(_ dump: String) -> [String] {
        var table = ""
        return dump.split(separator: "\n").compactMap { line in
            if line.hasPrefix("*") { table = String(line) }
            let isOpen =
                line.hasPrefix("*") || line == "COMMIT" || line.hasSuffix(" ACCEPT [0:0]") && line.hasPrefix(":")
            return isOpen ? nil : "\(table) \(line)"
        }
    }
}
