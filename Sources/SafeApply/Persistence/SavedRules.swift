import Netfilter

/// The content of the record of kept rules, and of the files that are loaded at boot.
///
/// A filter table that declares only INPUT means that only INPUT is latchkey's; all other tables are complete. Each
/// table can therefore come from a different change.
package enum SavedRules {
    /// The part of a plan that is latchkey's.
    ///
    /// - Parameters:
    ///   - plan: the kept rules.
    ///   - scope: their scope.
    /// - Returns: only INPUT, or the plan's tables with all built-in chains.
    package static func kept(_ plan: RuleSet, scope: ChangeScope) -> RuleSet {
        switch scope {
        case .inputChain, .inputAndPolicy:
            RuleSet(tables: [inputAlone(InputChain(of: plan)).with(published: PublishedRules(in: plan["filter"]))])
        case .tables: RuleSet(tables: plan.tables.map { RuleEdits.whole($0.name, of: plan) })
        case .removal: RuleSet()
        }
    }

    /// The record of kept rules, with the other tables of earlier kept changes.
    ///
    /// - Parameters:
    ///   - kept: the part of the plan that is latchkey's.
    ///   - earlier: the record so far.
    /// - Returns: the new record.
    package static func recorded(_ kept: RuleSet, over earlier: RuleSet) -> RuleSet {
        RuleSet(tables: earlier.tables.filter { kept[$0.name] == nil } + kept.tables)
    }

    /// The rules of a file after the kept rules are merged into it; rules that the change does not cover stay.
    ///
    /// - Parameters:
    ///   - kept: the part of the plan that is latchkey's.
    ///   - file: the current rules of the file.
    /// - Returns: all rules of the new file.
    package static func merged(_ kept: RuleSet, into file: RuleSet) -> RuleSet {
        var names: [String] = []
        for table in file.tables + kept.tables where !names.contains(table.name) { names.append(table.name) }
        return RuleSet(
            tables: names.compactMap { name in
                guard let table = kept[name] else { return file[name] }
                guard table.isInputAlone, let there = file[name] else { return table }
                return withInput(of: table, there, file).with(published: PublishedRules(in: table))
            })
    }

    /// Rules for iptables-restore when it flushes the tables that a file names.
    package static func text(_ rules: RuleSet) -> String {
        RuleEdits.tablesText(rules.tables.map(\.name), from: rules)
    }

    /// Rules for iptables-restore with `--noflush`: loaded once or repeatedly, each table becomes exactly this; if only
    /// INPUT is declared, the rest of its table stays.
    package static func textWithoutFlush(_ rules: RuleSet) -> String {
        rules.tables.map { table in
            table.isInputAlone
                ? inputText(of: table, rules)
                : "*\(table.name)\n-F\n-X\n"
                    + RuleEdits.tablesText([table.name], from: rules).dropFirst("*\(table.name)\n".count)
        }.joined()
    }

    /// INPUT, and latchkey's chain for published ports; what leads to that chain is not part of it, because each loading would add it again.
    private static func inputText(of table: Table, _ rules: RuleSet) -> String {
        let text = InputChain(of: rules).restoreInput.text
        guard let own = PublishedRules(in: table).rules else { return text }
        let lines = [":\(PublishedChains.own) - \(Counters.zero.text)"] + own.map(\.withoutCounters.text)
        return text.dropLast("COMMIT\n".count) + lines.map { "\($0)\n" }.joined() + "COMMIT\n"
    }

    /// The rules in a file that `textWithoutFlush` wrote.
    package static func withoutCommands(_ file: RuleSet) -> RuleSet {
        RuleSet(tables: file.tables.map { Table($0.name, chains: $0.chains, rules: $0.rules) })
    }

    /// A filter table with only the chain INPUT.
    static func inputAlone(_ chain: InputChain) -> Table {
        Table("filter", chains: [Chain("INPUT", policy: chain.policy)], rules: chain.rules)
    }

    /// A file's filter table with another INPUT, which comes after the jumps into the file's own chains.
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
    /// Whether it is the filter table of which only the chain INPUT, and what decides about published ports, is latchkey's:
    /// no other built-in chain is declared.
    var isInputAlone: Bool {
        let others = Set(chains.map(\.name)).subtracting([PublishedChains.own, PublishedChains.dockerUser])
        return name == "filter" && others == ["INPUT"]
    }
}
