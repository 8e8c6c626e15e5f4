import Netfilter
import TestSupport
import Testing

@testable import SafeApply

/// Random tables of nftables: what decides about a packet is asked from the kernel, not read from the rules.
@Suite("The trial of any table of nftables", .kernel, .inTurn)
struct TableTrialTests {
    @Test(
        "decides like the new table while its gates are open, and like the previous one while they are closed",
        arguments: Sampled.cases(Array(0..<40), oneOf: 8))
    func decisions(seed: Int) async throws {
        var random = SeededNumbers(seed: UInt64(seed))
        let tables = (plan: RandomTable.text(&random), previous: RandomTable.text(&random))
        let kernel = try await TrialKernel()
        let plan = try await kernel.replaced(by: tables.plan)
        let wanted = try await kernel.decisions()
        let previous = try await kernel.replaced(by: tables.previous)
        let before = try await kernel.decisions()

        let trial = TableTrial(of: plan, previous: previous)
        try await kernel.load(trial.loading(over: previous))
        #expect(try await kernel.decisions() == before, "with closed gates\n\(tables)")
        guard !trial.isEmpty else { return }
        try await kernel.open(true)
        #expect(try await kernel.decisions() == wanted, "with open gates\n\(tables)")
        try await kernel.open(false)
        #expect(try await kernel.decisions() == before, "with gates closed again\n\(tables)")

        // Kept: in one transaction, while the trial decides; then the trial goes.
        try await kernel.open(true)
        try await kernel.load(TableEdit(wanted: plan, trial: trial).loading(over: try await kernel.table()))
        #expect(try await kernel.decisions() == wanted, "kept, with the trial\n\(tables)")
        let handles = try #require(try await kernel.table(["-a"]))
        try await kernel.load(NFTable.removingTrial(from: handles, trial: trial, plan: plan))
        #expect(try await kernel.decisions() == wanted, "kept\n\(tables)")
        let kept = try #require(try await kernel.table())
        #expect(kept.comparable == plan.comparable, "\(kept.text)\n\(plan.text)")
    }

    @Test("leaves nothing of itself when it is removed", arguments: Sampled.cases(Array(0..<20), oneOf: 8))
    func removal(seed: Int) async throws {
        var random = SeededNumbers(seed: UInt64(seed) &+ 1_000)
        let tables = (plan: RandomTable.text(&random), previous: RandomTable.text(&random))
        let kernel = try await TrialKernel()
        let plan = try await kernel.replaced(by: tables.plan)
        let previous = try await kernel.replaced(by: tables.previous)
        let before = try await kernel.decisions()
        let trial = TableTrial(of: plan, previous: previous)
        try await kernel.load(trial.loading(over: previous))
        let handles = try #require(try await kernel.table(["-a"]))
        try await kernel.load(NFTable.removingTrial(from: handles, trial: trial, plan: plan))
        #expect(try await kernel.table()?.comparable == previous.comparable, "\(tables)")
        #expect(try await kernel.decisions() == before, "\(tables)")
    }
}

/// Tables as somebody might write them for nft, with all kinds of verdicts.
private enum RandomTable {
    static let id = NFTable.Name("inet", "person")
    static let ports = 1001...1005

    static func text(_ random: inout SeededNumbers) -> String {
        func one<Value>(_ values: [Value]) -> Value { values[Int.random(in: values.indices, using: &random)] }
        func port() -> String { "\(Int.random(in: ports, using: &random))" }
        // A chain only leads to later ones, so that there is no loop.
        func verdict(_ later: [String]) -> String {
            let leads = later.flatMap { ["jump \($0)", "goto \($0)"] }
            return one(["accept", "drop", "return", "accept", "drop", "counter"] + leads)
        }
        func rule(_ later: [String]) -> String {
            let matches = [
                "udp dport \(port()) ", "udp dport { \(port()), \(port()) } ", "udp dport != \(port()) ",
                "ip saddr 127.0.0.2 ", "ip saddr != 127.0.0.1 ", "meta nfproto ipv6 ", "udp dport @some ",
                "ip saddr @them ", "",
            ]
            // The map leads to those chains too.
            if later.contains("b"), Int.random(in: 0..<4, using: &random) == 0 { return "udp dport vmap @ways" }
            return one(matches) + verdict(later)
        }
        func rules(_ count: ClosedRange<Int>, _ later: [String]) -> String {
            (0..<Int.random(in: count, using: &random)).map { _ in "\t\t\(rule(later))\n" }.joined()
        }
        var lines = "table \(id) {\n"
        lines += "\tset some {\n\t\ttype inet_service\n\t\telements = { \(port()) }\n\t}\n"
        lines +=
            "\tset them {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { 127.0.0.\(one([2, 3])) }\n\t}\n"
        lines += "\tchain c {\n\(rules(0...2, []))\t}\n"
        lines += "\tchain b {\n\(rules(0...3, ["c"]))\t}\n"
        lines += "\tmap ways {\n\t\ttype inet_service : verdict\n"
        lines +=
            "\t\telements = { 1001 : \(one(["goto b", "jump b", "drop"])), 1003 : jump c }\n\t}\n"
        for (name, priority) in [("input", 0), ("late", 10)] where name == "input" || Bool.random(using: &random) {
            let policy = one(["accept", "drop"])
            lines += "\tchain \(name) {\n\t\ttype filter hook input priority \(priority); policy \(policy);\n"
            lines += rules(1...5, ["b", "c"]) + "\t}\n"
        }
        return lines + "}\n"
    }
}

/// nft in a network with nothing but the loopback interface.
private struct TrialKernel {
    private let network: NetworkNamespace

    init() async throws {
        network = try await NetworkNamespace()
        try await network.mustRun(["ip", "link", "set", "lo", "up"])
    }

    func load(_ text: String) async throws {
        let loaded = try await network.run(["nft", "-f", "-"], input: Array(text.utf8))
        guard loaded.status == 0 else { throw SpawnError("\(loaded.errors)\n\(text)") }
    }

    /// Replaces all tables by one, and returns it in nft's own form, which is listed as it was loaded.
    func replaced(by text: String) async throws -> NFTable {
        try await load("flush ruleset\n\(text)")
        try await load("flush ruleset\n\(try #require(try await table()).text)")
        return try #require(try await table())
    }

    func table(_ options: [String] = []) async throws -> NFTable? {
        let listing = try await network.mustRun(["nft"] + options + ["-s", "list", "ruleset"])
        let lines = listing.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            options.isEmpty || line.hasPrefix("\t\t") ? line : NFTable.withoutHandle(line)
        }
        return try NFTable.tables(in: lines.joined(separator: "\n")).map(\.withElementsInLines).first
    }

    /// Opens all gates, or closes them.
    func open(_ isOpen: Bool) async throws {
        let set = "\(RandomTable.id) \(TableTrial.set.name)"
        try await load(isOpen ? "add element \(set) { ip timeout 1h, ip6 timeout 1h }\n" : "flush set \(set)\n")
    }

    /// For every source and port, whether a packet comes through; the kernel decides before it returns from sending.
    func decisions() async throws -> String {
        let script = """
            use strict; use warnings; use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 IPPROTO_IPV6 IPV6_V6ONLY);
            for my $port (\(RandomTable.ports.lowerBound) .. \(RandomTable.ports.upperBound)) {
                for my $source ('127.0.0.1', '127.0.0.2', '127.0.0.3', '::1') {
                    my $six = $source =~ /:/;
                    my ($family, $to) = $six ? (AF_INET6, '::1') : (AF_INET, '127.0.0.9');
                    my $place = sub {
                        my $address = inet_pton($family, $_[0]);
                        $six ? pack_sockaddr_in6($_[1], $address) : pack_sockaddr_in($_[1], $address);
                    };
                    socket my $server, $family, SOCK_DGRAM, 0 or die $!;
                    bind $server, $place->($to, $port) or die $!;
                    socket my $client, $family, SOCK_DGRAM, 0 or die $!;
                    bind $client, $place->($source, 0) or die $!;
                    # A packet that is dropped is sent all the same.
                    send $client, 'x', 0, $place->($to, $port);
                    print defined recv($server, my $data, 9, MSG_DONTWAIT) ? '+' : '-';
                }
                print ' ';
            }
            """
        return try await network.mustRun(["perl", "-e", script])
    }
}
