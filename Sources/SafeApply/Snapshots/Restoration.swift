import Host
import Netfilter

/// Going back to a snapshot: a change like any other, with whole tables, its own backend, and a deadline.
///
/// - The tables of the snapshot come back with their counters. A table that is there now and was not then is emptied.
/// - Sets that are missing now are made again, with what was in them then. A set that is there keeps what it holds: its
///   entries are another program's (bans, for example), and newer.
/// - Kept, the change does not save its rules: it puts back the files of the snapshot's moment, with the answers. The
///   next start then loads what it would have loaded then, rules that nobody had saved no more than others.
package enum Restoration {
    /// The rules that bring a snapshot back.
    ///
    /// - Parameters:
    ///   - snapshot: what to go back to.
    ///   - live: the rules that are in force now.
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

    /// The tables that are there now and were not then; what iptables could not print then is not known to have been
    /// empty.
    static func laterTables(than earlier: RuleSet, live: RuleSet?) -> [Table] {
        let unknown = Set(earlier.unreadableTables)
        return (live?.tables ?? []).filter { earlier[$0.name] == nil && !unknown.contains($0.name) }
    }

    /// The lines of ipset's text that make the sets that are missing.
    ///
    /// - Parameters:
    ///   - sets: what `ipset save` printed for the snapshot.
    ///   - live: what it prints now.
    /// - Returns: "" when nothing is missing.
    package static func missingSets(_ sets: String, live: String) -> String {
        let present = names(live)
        let lines = sets.split(separator: "\n").filter { line in
            let words = line.split(separator: " ", maxSplits: 2)
            return words.count > 1 && !present.contains(String(words[1]))
        }
        return lines.map { "\($0)\n" }.joined()
    }

    /// The names of the sets that ipset's text makes, in its order.
    static func names(_ sets: String) -> [String] {
        sets.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", maxSplits: 2)
            return words.count > 1 && words[0] == "create" ? String(words[1]) : nil
        }
    }
}

extension Restored {
    /// What goes back to a snapshot besides its rules.
    ///
    /// - Parameters:
    ///   - snapshot: what to go back to.
    ///   - live: the rules that are in force now.
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

    /// The record of a kept restore: what is latchkey's to watch, as far as what was kept before the snapshot reached.
    ///
    /// Without a record that is INPUT; other programs' chains and tables are their own affair.
    func record(_ request: ChangeRequest, plan: PerFamily<RuleSet>) -> KeptRules {
        var rules = PerFamily<String>()
        for (family, plan) in plan.present {
            let earlier = saved.kept?.rules[family].flatMap { try? RuleSet(dumped: $0, file: "kept rules") }
            let chain = InputChain(of: plan)
            let others = RuleEdits.userChains(in: plan)
            let own = chain.rules.filter { !RuleEdits.isForeignJump($0, others) }
            let input = SavedRules.inputAlone(InputChain(policy: chain.policy, rules: own))
            let watched = saved.kept == nil ? [input] : earlier?.tables ?? []
            rules[family] =
                RuleSet(tables: watched.map { $0.isInputAlone ? input : RuleEdits.whole($0.name, of: plan) }).text
        }
        return KeptRules(id: request.id, rules: rules, backend: request.backend)
    }
}
