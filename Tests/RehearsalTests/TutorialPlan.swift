import Composer
import Netfilter
import Policy
import Templates
import Testing

/// The plan of the example that ships with latchkey, with an administrator of each family.
enum TutorialPlan {
    static func plan() throws -> Plan {
        let example = try #require(Templates.examples.first { $0.name == "tutorial.yaml" })
        let catalog = try TemplateCatalog.builtIn()
        var answers = try AnswersFile.parse(example.text, file: example.name, catalog: catalog)
        answers.admins = AddressList(try Scene.admins.map(CIDR.init(parsing:)))
        return try Plan(answers: answers, catalog: catalog, sshPorts: [22])
    }

    static func rules(_ family: Family) throws -> String {
        try Composer().compose(plan(), family: family).text
    }

    /// The plan's lines without those that `isMeant` selects.
    static func rules(_ family: Family, without isMeant: (Substring) -> Bool) throws -> String {
        try rules(family).split(separator: "\n").filter { !isMeant($0) }.joined(separator: "\n") + "\n"
    }
}

extension TutorialLine.Fulfilment {
    /// Whether a line of a rule set is the rule that implements this.
    func isRule(_ line: Substring) -> Bool {
        guard line.hasPrefix("-A INPUT ") else { return false }
        switch self {
        case .rule(let comment): return line.contains("--comment \"\(comment)")
        case .opening(let transport, let port):
            let words = line.split(separator: " ")
            guard words.contains("-p"), words.contains(Substring(transport)), !words.contains("-s"),
                let index = words.firstIndex(where: { $0 == "--dport" || $0 == "--dports" })
            else { return false }
            return words[index + 1].split(separator: ",").contains(Substring("\(port)"))
        case .emptied, .noUserChains, .countersFromZero, .policy: return false
        }
    }

    /// Whether a dump with counters, taken right after the plan became active, implements this.
    func isFulfilled(in dump: RuleSet) -> Bool {
        let lines = dump.text.split(separator: "\n")
        switch self {
        case .emptied(let table):
            let rules = dump[table]?.rules ?? []
            return table == "filter" ? rules.allSatisfy(\.isOwned) && !rules.isEmpty : rules.isEmpty
        case .noUserChains: return dump.tables.allSatisfy { $0.chains.allSatisfy { $0.policy != nil } }
        case .countersFromZero:
            // The remnants' counters are at 70000. A packet or two may have arrived since.
            return lines.allSatisfy { !$0.contains("[7") }
        case .policy(let table, let chain, let policy):
            return dump[table]?.chains.first { $0.name == chain }?.policy?.rawValue == policy
        case .rule, .opening:
            return lines.map { line in line.drop { $0 != "-" } }.filter(isRule).count == 1
        }
    }
}
