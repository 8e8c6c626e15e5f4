import Netfilter
import Testing

@testable import Rehearsal

@Suite("Which counters are read if there are many rules")
struct CounterScopeTests {
    private static let planned = RuleSet(tables: [Table("filter", chains: [Chain("INPUT", policy: .drop)])])

    private static func existing(_ count: Int, and tables: [Table] = []) -> RuleSet {
        let long = (0..<count).map {
            Rule("crowd", [.transport("tcp", negated: false)], target: .log(level: UInt8($0 % 8)))
        }
        let chains = [Chain("INPUT", policy: .accept), Chain("crowd"), Chain("web")]
        let own = Rule("web", [.comment("\(Rule.ownershipPrefix)web")], target: .accept)
        return RuleSet(tables: tables + [Table("filter", chains: chains, rules: long + [own])])
    }

    @Test("few rules are read completely")
    func few() {
        #expect(CounterScope(existing: Self.existing(100), planned: Self.planned) == nil)
    }

    @Test("other programs' chains are left out, latchkey's and the plan's are not")
    func chains() throws {
        let scope = try #require(CounterScope(existing: Self.existing(3_000), planned: Self.planned))
        #expect(scope.unread == ["filter": ["crowd"]])
        let replaced = RuleSet(tables: [Table("filter", chains: [Chain("INPUT", policy: .drop), Chain("crowd")])])
        #expect(try #require(CounterScope(existing: Self.existing(3_000), planned: replaced)).unread == ["filter": []])
    }

    @Test("the built-in chains on a packet's path are read if they have an effect, INPUT always")
    func hooks() throws {
        func read(_ tables: [Table], _ planned: RuleSet) throws -> [String] {
            try #require(CounterScope(existing: Self.existing(3_000, and: tables), planned: planned))
                .hooks.map { "\($0.table) \($0.chain)" }
        }
        let empty = Table("mangle", chains: ["PREROUTING", "INPUT"].map { Chain($0, policy: .accept) })
        #expect(try read([empty], Self.planned) == ["filter INPUT"])
        let full = Table("mangle", chains: empty.chains, rules: [Rule("INPUT", target: .accept)])
        #expect(try read([full], Self.planned) == ["mangle INPUT", "filter INPUT"])
        let shut = RuleSet(tables: [Table("raw", chains: [Chain("PREROUTING", policy: .drop)])])
        #expect(try read([], shut) == ["raw PREROUTING", "filter INPUT"])
    }
}
