import Composer
import Foundation
import Netfilter
import Policy
import Templates
import TestSupport
import Testing

/// The table of the backend nftables; each golden case has it as `nftables.rules`.
@Suite("Golden tables of nftables")
struct TableTests {
    @Test("the answers of each case produce its table", arguments: try GoldenCase.all())
    func composed(_ golden: GoldenCase) throws {
        let text = try Composer().composeTable(golden.plan()).text
        let file = golden.folder.appending(path: "nftables.rules")
        if ProcessInfo.processInfo.environment["LATCHKEY_RECORD"] == "1" {
            try Data(text.utf8).write(to: file)
            Issue.record("recorded \(file.lastPathComponent) of \(golden.name); read the difference")
        }
        #expect(text == (try String(contentsOf: file, encoding: .utf8)))
    }

    @Test("the kernel takes each golden table, and a table that it has listed is listed the same again", .kernel)
    func loaded() async throws {
        for golden in try GoldenCase.all() {
            let table = try Composer().composeTable(golden.plan())
            let listings = try await Self.listings(of: table.text)
            let listed = try #require(try NFTable.tables(in: listings.0).first)
            #expect(listings.0 == listings.1, "\(golden.name)")
            #expect(listed.parts.map(\.name) == table.parts.map(\.name))
            #expect(listed.chains.map(\.rules.count) == table.chains.map(\.rules.count), "\(golden.name)")
            // nft sorts the elements of some sets; beside those, its listing is the same text.
            for (own, nft) in zip(table.chains.flatMap(\.rules), listed.chains.flatMap(\.rules)) {
                #expect(Self.words(own) == Self.words(nft), "\(golden.name)")
            }
        }
    }

    @Test("SSH and services pass at the second rule, what is dropped at the fifth, however many services there are")
    func fewRules() throws {
        let catalog = try TemplateCatalog.builtIn()
        let everything = catalog.names.filter { !["ssh", "mdns", "ipsec"].contains($0) }.map {
            ServiceChoice($0, from: .everyone)
        }
        let answers = Answers(
            admins: AddressList(try ["192.168.1.33", "2001:db8::7"].map { try CIDR(parsing: $0) }), services: everything
        )
        let rules = try #require(
            try Composer().composeTable(Plan(answers: answers, catalog: catalog, sshPorts: [22])).part("chain", "input")
        ).rules
        #expect(rules.firstIndex { $0.contains("tcp . 22") } == 1 || rules[1].contains("tcp . "))
        #expect(rules[1].hasPrefix("meta l4proto . th dport { "))
        #expect(rules[4].contains("meta l4proto { tcp, udp } th dport != 546 counter drop"))
    }

    @Test("ports and networks that overlap become elements that do not, which the kernel would refuse", .kernel)
    func overlaps() async throws {
        let catalog = try TemplateCatalog.builtIn()
        func from(_ texts: String...) throws -> Source {
            .networks(AddressList(try texts.map { try CIDR(parsing: $0) }))
        }
        let answers = Answers(services: [
            ServiceChoice("mail", from: try from("192.168.0.0/16", "2001:db8::/32")),
            ServiceChoice("sieve", from: try from("192.168.1.0/24")),
            ServiceChoice("mosh", from: try from("10.0.0.0/8")),
            ServiceChoice("rtp", from: try from("10.1.0.0/16", "192.168.1.7")),
            ServiceChoice("pop3", from: try from("192.168.1.0/24", "192.168.0.0/16")),
        ])
        let table = try Composer().composeTable(Plan(answers: answers, catalog: catalog, sshPorts: [22]))
        let rules = try #require(table.part("chain", "input")).rules
        #expect(rules.count { $0.hasPrefix("ip saddr . meta l4proto . th dport ") } == 1)
        #expect(rules.count { $0.hasPrefix("ip6 saddr . meta l4proto . th dport ") } == 1)
        let listings = try await Self.listings(of: table.text)
        #expect(listings.0 == listings.1)
    }

    @Test("more than eight addresses are a set with a name, fewer are in the rule")
    func sets() throws {
        let catalog = try TemplateCatalog.builtIn()
        func table(_ count: Int) throws -> NFTable {
            let list = AddressList(try (1...count).map { try CIDR(parsing: "192.0.2.\($0 * 2)") })
            return try Composer().composeTable(
                Plan(
                    answers: Answers(admins: list, ssh: SSHAnswer(ports: nil, from: .networks(list))), catalog: catalog,
                    sshPorts: [22]))
        }
        #expect(try table(8).parts.allSatisfy { $0.kind == "chain" })
        let long = try table(9)
        let set = try #require(long.parts.first)
        #expect(long.parts.count { $0.kind == "set" } == 1, "the same list is one set")
        #expect(set.kind == "set" && set.name.hasPrefix("latchkey-4-"))
        #expect(long.text.contains("ip saddr @\(set.name) counter accept comment \"latchkey: admins\""))
        #expect(long.text.contains("ip saddr @\(set.name) tcp dport 22 counter accept comment \"latchkey: ssh\""))
    }

    // MARK: An administrator's template

    private static let path = "/t/nftables.mustache"

    private func refusal(_ change: (String) -> String) throws -> ComposerError? {
        let builtIn = try #require(Templates.rules.first { $0.name == "nftables.mustache" }).text
        let changed = change(builtIn)
        #expect(changed != builtIn, "the test changes nothing")
        let plan = try Plan(
            answers: Answers(services: [ServiceChoice("web")], ping: .limited, log: true),
            catalog: try TemplateCatalog.builtIn(), sshPorts: [22])
        do throws(ComposerError) {
            _ = try Composer(ruleTemplates: ["nftables": RuleTemplate(path: Self.path, text: changed)]).composeTable(
                plan)
            return nil
        } catch {
            return error
        }
    }

    @Test("other limits and another log rule are the administrator's choice")
    func choices() throws {
        #expect(
            try refusal { $0.replacing("limit rate 5/second burst 10 packets", with: "limit rate 1/minute") } == nil)
        #expect(
            try refusal { $0.replacing("log prefix \"latchkey drop: \"", with: "log prefix \"drop \" level info") }
                == nil)
        #expect(try refusal { $0 + "{{! a comment }}\n" } == nil)
    }

    @Test("a missing, changed, additional or moved rule is refused by the line that is at fault")
    func mistakes() throws {
        let drop = "\t\tiif != \"lo\" counter drop comment \"latchkey: drop all else\"\n"
        guard case .missing(let line, _) = try refusal({ $0.replacing(drop, with: "") }) else {
            return #expect(Bool(false), "a missing rule")
        }
        #expect("\(line)\n" == drop)
        let changed = try refusal { $0.replacing("counter drop", with: "counter accept") }
        #expect(changed?.description.contains("counter accept comment") == true)
        #expect(changed?.description.contains(Self.path) == true)
        let more = try refusal { $0.replacing(drop, with: "\t\ttcp dport 23 accept\n\(drop)") }
        #expect(more?.description.contains("tcp dport 23") == true)
        #expect(try refusal { $0.replacing("policy drop", with: "policy accept") } != nil)
        #expect(try refusal { $0.replacing("inet latchkey", with: "inet filter") } != nil)
        let unknown = try refusal { $0.replacing("{{#open}}", with: "{{#opened}}") }
        #expect(unknown?.description.contains("{{#opened}}") == true)
    }

    // MARK: Helpers

    /// What nft lists after it has loaded a text, and after it has loaded that listing.
    private static func listings(of text: String) async throws -> (String, String) {
        let namespace = try await NetworkNamespace("table")
        defer { namespace.close() }
        func list(_ text: String) async throws -> String {
            try await namespace.mustRun(["nft", "-f", "-"], input: Array("flush ruleset\n\(text)".utf8))
            return try await namespace.mustRun(["nft", "-s", "list", "ruleset"])
        }
        let first = try await list(text)
        return (first, try await list(first))
    }

    private static func words(_ line: String) -> [String] {
        // The template uses the name that nft knows without /etc/protocols.
        line.split { " ,{}".contains($0) }.map { $0 == "ipv6-icmp" ? "icmpv6" : String($0) }.sorted()
    }
}
