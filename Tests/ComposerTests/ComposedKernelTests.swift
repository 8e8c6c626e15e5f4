import Composer
import Netfilter
import TestSupport
import Testing

/// The kernel accepts every golden rule set with both iptables backends, and prints it back byte for byte.
@Suite("The kernel prints rule sets back unchanged", .kernel)
struct ComposedKernelTests {
    @Test("each golden case", arguments: TestBackend.installed, Family.allCases)
    func goldens(_ backend: TestBackend, _ family: Family) async throws {
        let tool = try #require(IPFamily(rawValue: family.rawValue))
        for golden in try GoldenCase.all() {
            let rules = try Composer().compose(golden.plan(), family: family)
            let namespace = try await NetworkNamespace("composed")
            defer { namespace.close() }
            try await namespace.restore(rules.text, tool, backend)
            let dump = try RuleSet(parsing: await namespace.dump(tool, backend), file: "dump")
            for table in rules.tables {
                let found = try #require(dump[table.name], "\(golden.name): \(table.name)")
                // With "keep" only INPUT is listed; the kernel adds the table's other chains.
                let chains = Set(table.chains.map(\.name))
                let same = Table(
                    table.name, chains: found.chains.filter { chains.contains($0.name) }, rules: found.rules)
                #expect(same.text == table.text, "\(golden.name)")
            }
        }
    }
}
