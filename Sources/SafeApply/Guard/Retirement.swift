import Host
import Netfilter

/// How the kept rules of one backend go when a change with another backend is kept.
package struct Retirement: Codable, Sendable, Equatable {
    /// The backend that holds the kept rules.
    package var backend: Backend
    /// The iptables rules that go; see `RuleRemoval`.
    package var rules: PerFamily<String>
    /// The tables of nftables that go, each without content; nil for iptables.
    package var tables: String?

    /// The retirement of the last kept rules if another backend holds them.
    ///
    /// - Parameters:
    ///   - backend: the backend of a change.
    ///   - environment: the machine.
    /// - Returns: nil if nothing is kept, or by that backend.
    /// - Throws: `host`, `unreadable` if the rules cannot be read.
    package static func before(
        _ backend: Backend, in environment: ChangeEnvironment
    ) async throws(ChangeError) -> Retirement? {
        guard let kept = try? Persistence(environment).lastKept(), kept.backend != backend else { return nil }
        return try await Retirement(of: kept, in: environment)
    }

    /// The retirement of kept rules.
    ///
    /// - Parameters:
    ///   - kept: the record of the last kept change.
    ///   - environment: the machine.
    /// - Throws: `host`, `unreadable` if the rules cannot be read.
    private init(of kept: KeptRules, in environment: ChangeEnvironment) async throws(ChangeError) {
        backend = kept.backend
        rules = PerFamily()
        guard kept.backend != .nftables else {
            tables = kept.nftTables.map { NFTable($0.id).text }.joined()
            return
        }
        let live = try await LiveRules(
            backend: kept.backend, families: environment.families, toolbox: environment.toolbox,
            runner: environment.runner)
        for family in environment.families {
            let text = (kept.ownRules ?? kept.rules)[family]
            let record = text.flatMap { try? RuleSet(dumped: $0, file: "kept rules") }
            let present = try await live.read(family).withoutTemporary
            rules[family] = RuleRemoval.plan(kept: record, live: present).text
        }
    }

    /// The iptables rules that go.
    ///
    /// - Throws: `badRules`.
    func removed() throws(ChangeError) -> PerFamily<RuleSet> {
        var sets = PerFamily<RuleSet>()
        for (family, text) in rules.present {
            do { sets[family] = try RuleSet(dumped: text, file: "kept rules") } catch { throw .badRules(error) }
        }
        return sets
    }
}
