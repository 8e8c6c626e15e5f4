import Host
import Netfilter

/// Restores a snapshot: a change like any other, with whole tables, the snapshot's backend, and a deadline.
///
/// - The tables of the snapshot are restored with their counters. A table that did not exist then is emptied.
/// - Missing sets are created again, with their entries at that time. Existing sets keep their entries, which are newer
/// and belong to other programs (bans, for example).
/// - When the change is kept, latchkey does not save its rules: it restores the files of the time of the snapshot,
///   including the answers. At boot, the machine then loads what it would have loaded then.
package enum Restoration {
    /// The rules that restore a snapshot.
    ///
    /// - Parameters:
    ///   - snapshot: the snapshot.
    ///   - live: the rules that are active now.
    /// - Returns: rules as iptables-save prints them.
    /// - Throws: `damaged`.
    package static func rules(
        of snapshot: Snapshot, live: PerFamily<RuleSet>
    ) throws(ChangeError) -> PerFamily<String> {
        var texts = PerFamily<String>()
        for (family, _) in snapshot.rules.present {
            guard let earlier = try snapshot.ruleSet(family) else { continue }
            let later = laterTables(than: earlier, live: live[family])
            let emptied = later.map { table in
                Table(table.name, chains: (Chain.builtIn(ofTable: table.name) ?? []).map { Chain($0, policy: .accept) })
            }
            texts[family] = RuleSet(tables: earlier.tables + emptied).text
        }
        return texts
    }

    /// The tables that exist now and did not exist then; a table that iptables could not print then is not among them,
    /// because it may not have been empty.
    static func laterTables(than earlier: RuleSet, live: RuleSet?) -> [Table] {
        let unknown = Set(earlier.unreadableTables)
        return (live?.tables ?? []).filter { earlier[$0.name] == nil && !unknown.contains($0.name) }
    }

    /// The tables of nftables that restore a snapshot: those that the change before which it was taken could alter.
    ///
    /// - Parameter snapshot: the snapshot.
    /// - Returns: the tables as text, one without content for each that did not exist; nil for a snapshot of iptables.
    package static func tables(of snapshot: Snapshot) -> String? {
        snapshot.meta.backend == .nftables ? snapshot.tables : nil
    }

    /// The lines of ipset's output that create the missing sets.
    ///
    /// - Parameters:
    ///   - sets: what `ipset save` printed for the snapshot.
    ///   - live: what it prints now.
    /// - Returns: the lines; "" if nothing is missing.
    package static func missingSets(_ sets: String, live: String) -> String {
        let present = names(live)
        let lines = sets.split(separator: "\n").filter { line in
            let words = line.split(separator: " ", maxSplits: 2)
            return words.count > 1 && !present.contains(String(words[1]))
        }
        return lines.map { "\($0)\n" }.joined()
    }

    /// The names of the sets that ipset's output creates, in its order.
    static func names(_ sets: String) -> [String] {
        sets.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", maxSplits: 2)
            return words.count > 1 && words[0] == "create" ? String(words[1]) : nil
        }
    }
}

extension Restored {
    /// What is restored from a snapshot besides its rules.
    ///
    /// - Parameters:
    ///   - snapshot: the snapshot.
    ///   - live: the rules that are active now.
    ///   - liveSets: what `ipset save` prints now.
    /// - Throws: `damaged`.
    package init(_ snapshot: Snapshot, live: PerFamily<RuleSet>, liveSets: String) throws(ChangeError) {
        var emptied = PerFamily<[String]>()
        for (family, _) in snapshot.rules.present {
            guard let earlier = try snapshot.ruleSet(family) else { continue }
            emptied[family] = Restoration.laterTables(than: earlier, live: live[family]).map(\.name)
        }
        self.init(
            snapshot: snapshot.meta.id, saved: snapshot.saved,
            sets: Restoration.missingSets(snapshot.sets, live: liveSets), emptied: emptied)
    }

    /// The record of a kept restore: the rules to check for drift, in the scope of the record in the snapshot.
    ///
    /// Without such a record only INPUT is checked; other chains and tables belong to other programs.
    func record(_ request: ChangeRequest, _ plan: PlannedRules) -> KeptRules {
        guard request.backend != .nftables else {
            let tables = plan.tables.filter { !$0.parts.isEmpty }.map(\.compactText).joined()
            var record = KeptRules(id: request.id, rules: PerFamily(), tables: tables, backend: request.backend)
            record.takenOver = saved.kept?.takenOver
            record.ownTables = saved.kept?.ownTables ?? saved.kept?.tables ?? ""
            return record
        }
        var rules = PerFamily<String>()
        for (family, plan) in plan.rules.present {
            let earlier = saved.kept?.rules[family].flatMap { try? RuleSet(dumped: $0, file: "kept rules") }
            let chain = InputChain(of: plan)
            let others = RuleEdits.userChains(in: plan)
            let own = chain.rules.filter { !RuleEdits.isForeignJump($0, others) }
            let input = SavedRules.inputAlone(InputChain(policy: chain.policy, rules: own))
                .with(published: PublishedRules(in: plan["filter"]))
            let watched = saved.kept == nil ? [input] : earlier?.tables ?? []
            rules[family] =
                RuleSet(tables: watched.map { $0.isInputAlone ? input : RuleEdits.whole($0.name, of: plan) }).text
        }
        var record = KeptRules(id: request.id, rules: rules, backend: request.backend)
        record.takenOver = saved.kept?.takenOver
        record.ownRules = saved.kept?.ownRules ?? saved.kept?.rules ?? PerFamily()
        return record
    }
}
