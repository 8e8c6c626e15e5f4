import Netfilter

/// What outlives a change that is kept: the record of its rules, and the files that the next start loads.
///
/// A table filter that declares the chain INPUT alone says that nothing else of it is latchkey's; every other table
/// is there as a whole. So each table can be of another change.
package enum SavedRules {
    /// What is latchkey's of a plan.
    ///
    /// - Parameters:
    ///   - plan: the rules that are kept.
    ///   - scope: how far they reach.
    /// - Returns: INPUT alone, or the plan's tables with every chain of the kernel's own.
    package static func kept(_ plan: RuleSet, scope: ChangeScope) -> RuleSet {
        switch scope {
        case .inputChain: RuleSet(tables: [inputAlone(InputChain(of: plan))])
        case .tables: RuleSet(tables: plan.tables.map { RuleEdits.whole($0.name, of: plan) })
        }
    }

    /// The record of what is kept, with what was kept earlier of other tables.
    ///
    /// - Parameters:
    ///   - kept: what is latchkey's of the plan.
    ///   - earlier: the record so far.
    /// - Returns: the whole new record.
    package static func recorded(_ kept: RuleSet, over earlier: RuleSet) -> RuleSet {
        RuleSet(tables: earlier.tables.filter { kept[$0.name] == nil } + kept.tables)
    }

    /// The rules of a file with what is kept put into them; what the change does not reach stays as it stood there.
    ///
    /// - Parameters:
    ///   - kept: what is latchkey's of the plan.
    ///   - file: the rules that the file holds now.
    /// - Returns: all rules of the new file.
    package static func merged(_ kept: RuleSet, into file: RuleSet) -> RuleSet {
        var names: [String] = []
        for table in file.tables + kept.tables where !names.contains(table.name) { names.append(table.name) }
        return RuleSet(
            tables: names.compactMap { name in
                guard let table = kept[name] else { return file[name] }
                guard table.isInputAlone, let there = file[name] else { return table }
                return withInput(of: table, there, file)
            })
    }

    /// Rules as iptables-restore reads them where it empties the tables that a file names.
    package static func text(_ rules: RuleSet) -> String {
        RuleEdits.tablesText(rules.tables.map(\.name), from: rules)
    }

    /// Rules as iptables-restore reads them with `--noflush`: once or again, each table becomes what stands here, and
    /// where INPUT is all, the rest of its table stays.
    package static func textWithoutFlush(_ rules: RuleSet) -> String {
        rules.tables.map { table in
            table.isInputAlone
                ? InputChain(of: rules).restoreInput.text
                : "*\(table.name)\n-F\n-X\n"
                    + RuleEdits.tablesText([table.name], from: rules).dropFirst("*\(table.name)\n".count)
        }.joined()
    }

    /// What `textWithoutFlush` was made of, read back from its file.
    package static func withoutCommands(_ file: RuleSet) -> RuleSet {
        RuleSet(tables: file.tables.map { Table($0.name, chains: $0.chains, rules: $0.rules) })
    }

    /// The table filter with a chain INPUT and nothing else.
    static func inputAlone(_ chain: InputChain) -> Table {
        Table("filter", chains: [Chain("INPUT", policy: chain.policy)], rules: chain.rules)
    }

    /// A file's table filter with another INPUT, behind the jumps into chains of the file's own.
    private static func withInput(of kept: Table, _ table: Table, _ file: RuleSet) -> Table {
        let chain = InputChain(of: RuleSet(tables: [kept]))
        let others = RuleEdits.userChains(in: file)
        let jumps = table.rules(in: "INPUT").filter { RuleEdits.isForeignJump($0, others) }
        return Table(
            "filter",
            chains: [Chain("INPUT", policy: chain.policy == .drop ? .drop : table.chain("INPUT")?.policy ?? .accept)]
                + table.chains.filter { $0.name != "INPUT" },
            rules: jumps + chain.rules + table.rules.filter { $0.chain != "INPUT" })
    }
}

extension Table {
    /// Whether it is the chain INPUT of filter and nothing else.
    var isInputAlone: Bool { name == "filter" && chains.map(\.name) == ["INPUT"] }
}
