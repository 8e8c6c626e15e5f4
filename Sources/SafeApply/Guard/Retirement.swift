import Host
import Netfilter

/// How the kept rules of one backend go when a change with another backend is kept.
package struct Retirement: Codable, Sendable, Equatable {
    /// The backend that holds the kept rules.
    package var backend: Backend
    /// The part of the iptables rules that changes.
    package var scope: ChangeScope
    /// What is left of the iptables rules in that part.
    package var rules: PerFamily<String>
    /// The kept rules in INPUT that go, beside those with latchkey's comment; for files that are loaded at boot.
    package var recorded: PerFamily<[String]>
    /// The tables of nftables that go, each without content; nil for iptables.
    package var tables: String?

    /// The retirement of the last kept rules.
    ///
    /// - Parameters:
    ///   - kept: the record of the last kept change.
    ///   - environment: the machine.
    /// - Throws: `host`, `unreadable` if the rules cannot be read.
    package init(of kept: KeptRules, in environment: ChangeEnvironment) async throws(ChangeError) {
        backend = kept.backend
        scope = .inputChain
        rules = PerFamily()
        recorded = PerFamily()
        guard kept.backend != .nftables else {
            tables = kept.nftTables.map { NFTable($0.id).text }.joined()
            return
        }
        let live = try await LiveRules(
            backend: kept.backend, families: environment.families, toolbox: environment.toolbox,
            runner: environment.runner)
        for family in environment.families {
            let record = kept.rules[family].flatMap { try? RuleSet(dumped: $0, file: "kept rules") }
            guard let record, let table = record["filter"] else { continue }
            // A filter table that latchkey replaced as a whole has the policy DROP, which must not stay alone.
            if !table.isInputAlone { scope = .inputAndPolicy }
            let bodies = table.rules(in: "INPUT").map(\.body)
            recorded[family] = bodies
            let left = RuleEdits.unowned(in: try await live.read(family)).filter { !bodies.contains($0.body) }
            rules[family] =
                RuleSet(tables: [
                    Table("filter", chains: [Chain("INPUT", policy: .accept)], rules: left.map(\.withoutCounters))
                ]).text
        }
    }
}
