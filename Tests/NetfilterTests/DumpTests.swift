import Foundation
import Testing

@testable import Netfilter

/// Real dumps of iptables 1.8.9 with both backends: rules of Docker, fail2ban, ufw, firewalld, Kubernetes and a
/// cloud provider's images, and the strangest quoting that iptables accepts.
enum Dumps {
    static let names: [String] = {
        let folder = Bundle.module.bundleURL.appendingPathComponent("Dumps").path
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.filter { $0.hasSuffix(".rules") }.sorted()
    }()

    static func bytes(_ name: String) throws -> [UInt8] {
        try Array(Data(contentsOf: Bundle.module.bundleURL.appendingPathComponent("Dumps/\(name)")))
    }
}

@Suite("Real dumps")
struct DumpTests {
    @Test("there are dumps of every program, for both backends, and with counters")
    func complete() {
        let programs = ["docker", "fail2ban", "firewalld", "kubernetes", "odd", "oracle", "six", "ufw"]
        let expected = programs.flatMap { program in
            ["legacy", "nft"].flatMap { ["\(program)-\($0).rules", "\(program)-\($0)-counters.rules"] }
        }
        #expect(Dumps.names == expected.sorted())
    }

    @Test("a dump is written back byte for byte", arguments: Dumps.names)
    func inverse(name: String) throws {
        let bytes = try Dumps.bytes(name)
        let set = try RuleSet(bytes: bytes, file: name)
        #expect(Array(set.text.utf8) == bytes)
        #expect(try RuleSet(parsing: set.text, file: name) == set)
    }

    @Test(
        "every line of a dump is understood as iptables prints it, without keeping its text", arguments: Dumps.names)
    func noSpelling(name: String) throws {
        let set = try RuleSet(bytes: Dumps.bytes(name), file: name)
        #expect(!set.tables.isEmpty)
        for entry in set.tables.flatMap(\.entries) { #expect(entry.spelling == nil, "\(entry.text)") }
    }

    @Test(
        "the dumps of both backends, with and without counters, mean the same",
        arguments: ["docker", "kubernetes", "six", "ufw"])
    func sameMeaning(program: String) throws {
        let sets = try Dumps.names.filter { $0.hasPrefix(program) }.map { name in
            try RuleSet(bytes: Dumps.bytes(name), file: name).normalized()
        }
        #expect(sets.count == 4)
        #expect(sets.allSatisfy { $0 == sets[0] })
        #expect(!sets[0].tables.isEmpty)
    }

    @Test("a normalized dump reads back as itself", arguments: Dumps.names)
    func normalizedTwice(name: String) throws {
        let normalized = try RuleSet(bytes: Dumps.bytes(name), file: name).normalized()
        #expect(normalized.normalized() == normalized)
        #expect(try RuleSet(parsing: normalized.text, file: name) == normalized)
    }

    @Test("comments, owners and jumps are found with any quoting")
    func comments() throws {
        let set = try RuleSet(bytes: Dumps.bytes("odd-nft.rules"), file: "odd")
        let rules = try #require(set["filter"]).rules(in: "INPUT")
        #expect(rules.compactMap(\.comment).prefix(3) == ["say \"hi\" and \\ and it's", "-j", "! -s 1.2.3.4"])
        #expect(rules.filter(\.isOwned).map(\.comment) == ["latchkey: ssh"])
        let bans = try RuleSet(bytes: Dumps.bytes("fail2ban-nft.rules"), file: "bans")
        #expect(
            try #require(bans["filter"]).rules(in: "INPUT").compactMap(\.jumpsTo) == ["f2b-postfix-sasl", "f2b-sshd"])
    }
}
