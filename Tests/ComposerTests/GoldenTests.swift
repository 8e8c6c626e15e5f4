import Composer
import Foundation
import Netfilter
import Policy
import Templates
import Testing

/// One folder under `Golden` is one case: answers in, both families' rule sets out.
///
/// `LATCHKEY_RECORD=1 swift test --filter GoldenTests` overwrites the rule sets with the output; the run still fails,
/// so that nobody records by accident. Read the difference before you commit it.
@Suite("Golden rule sets")
struct GoldenTests {
    @Test("the answers of each case produce its rule sets", arguments: try GoldenCase.all(), Family.allCases)
    func composed(_ golden: GoldenCase, _ family: Family) throws {
        let text = try Composer().compose(golden.plan(), family: family).text
        let file = golden.file(family)
        if ProcessInfo.processInfo.environment["LATCHKEY_RECORD"] == "1" {
            try Data(text.utf8).write(to: file)
            Issue.record("recorded \(file.lastPathComponent) of \(golden.name); read the difference")
        }
        #expect(text == (try String(contentsOf: file, encoding: .utf8)))
    }

    @Test("the golden tutorial is the example that ships with latchkey")
    func shippedExample() throws {
        let example = try #require(Templates.examples.first { $0.name == "tutorial.yaml" })
        let golden = try #require(try GoldenCase.all().first { $0.name == "tutorial" })
        #expect(example.text == golden.answersText)
    }

    @Test("every rule has a latchkey comment of at most 255 bytes", arguments: try GoldenCase.all())
    func owned(_ golden: GoldenCase) throws {
        for family in Family.allCases {
            let rules = try Composer().compose(golden.plan(), family: family).tables.flatMap(\.rules)
            #expect(rules.allSatisfy { $0.isOwned && ($0.comment?.utf8.count ?? 0) <= 255 })
        }
    }

    @Test("the first rule accepts packets of known connections, and SSH comes before the services")
    func fewRules() throws {
        let golden = try #require(try GoldenCase.all().first { $0.name == "everything" })
        for family in Family.allCases {
            let comments = try Composer().compose(golden.plan(), family: family).tables[0].rules.map {
                $0.comment ?? ""
            }
            #expect(comments.first == "latchkey: replies to what this server began")
            let ssh = try #require(comments.firstIndex(of: "latchkey: ssh"))
            let service = try #require(comments.firstIndex { $0.hasPrefix("latchkey: service") })
            #expect(ssh < service)
        }
    }

    @Test("a comment that would be too long for the kernel says how many answers it leaves out")
    func longComment() throws {
        let ports = try (1000...1099).map { try PortSpec(parsing: "\($0)/tcp") }
        let catalog = try TemplateCatalog.builtIn()
        let plan = try Plan(
            answers: Answers(services: [ServiceChoice("web")], ports: ports.map { PortChoice($0) }), catalog: catalog,
            sshPorts: [22])
        let rules = try Composer().compose(plan, family: .ipv4).tables[0].rules
        let comment = try #require(rules.first { $0.text.contains("1000:1099") }?.comment)
        #expect((240...255).contains(comment.utf8.count))
        #expect(comment.hasPrefix("latchkey: service web; ports 1000/tcp, 1001/tcp, "))
        #expect(comment.hasSuffix(" more"))
        let shown = comment.split(separator: ",").count
        #expect(comment.contains(" and \(100 - shown) more"))
    }
}

/// One folder under `Golden`.
struct GoldenCase: CustomTestStringConvertible, Sendable {
    let name: String
    let folder: URL
    let answersText: String

    var testDescription: String { name }

    static func all() throws -> [GoldenCase] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")
        return try FileManager.default.contentsOfDirectory(atPath: root.path()).filter { !$0.hasPrefix(".") }.sorted()
            .map { name in
                let folder = root.appending(path: name)
                let answers = try String(contentsOf: folder.appending(path: "answers.yaml"), encoding: .utf8)
                return GoldenCase(name: name, folder: folder, answersText: answers)
            }
    }

    func plan() throws -> Plan {
        let catalog = try TemplateCatalog.builtIn()
        let answers = try AnswersFile.parse(answersText, file: "\(name)/answers.yaml", catalog: catalog)
        return try Plan(answers: answers, catalog: catalog, sshPorts: [22])
    }

    func file(_ family: Family) -> URL { folder.appending(path: "\(family.rawValue).rules") }
}
