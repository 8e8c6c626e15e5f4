import Netfilter

/// The INPUT chain of iptables, for each family that has rules.
package struct IPTablesFilter: FilterSource {
    /// The filter table of each family; a family that is missing here is not filtered.
    private let tables: [Family: Table]
    /// What a rule is called, by its chain and its number there.
    private let titles: [Family: [String: [Int: String]]]
    private let kept: @Sendable (String) -> Bool

    /// The rules of both families.
    ///
    /// - Parameters:
    ///   - rules: the rules of each family; a rule set without a filter table accepts everything.
    ///   - titles: by chain and number, what to call rules other than by their own text.
    ///   - kept: whether a chain belongs to a program that manages it by itself.
    package init(
        _ rules: [Family: RuleSet], titles: [Family: [String: [Int: String]]] = [:],
        kept: @escaping @Sendable (String) -> Bool = { _ in false }
    ) {
        tables = rules.mapValues { $0["filter"] ?? Table("filter", chains: []) }
        self.titles = titles
        self.kept = kept
    }

    package var interfaces: [String] {
        let words = tables.values.flatMap(\.rules).flatMap(\.interfaceNames)
        return Set(words).sorted()
    }

    /// The chains of a family, from a viewpoint.
    package func chains(from viewpoint: Viewpoint) -> FilterChains? {
        guard let table = tables[viewpoint.family] else { return nil }
        var rules: [String: [FilterRule]] = [:]
        let chains = Set(table.chains.map(\.name) + table.rules.map(\.chain))
        var numbers: [String: Int] = [:]
        for rule in table.rules {
            let number = numbers[rule.chain, default: 0]
            numbers[rule.chain] = number + 1
            let name = titles[viewpoint.family]?[rule.chain]?[number]
            let text = name ?? rule.withoutCounters.text
            guard var read = IPTablesRuleReader.read(rule, title: text, from: viewpoint, chains: chains)
            else { continue }
            read.namesChain = name != nil
            rules[rule.chain, default: []].append(read)
        }
        let policy = table.chain("INPUT")?.policy ?? .accept
        let base = FilterChains.Base("INPUT", accepts: policy == .accept, policy: "INPUT's policy \(policy.rawValue)")
        return FilterChains(
            bases: [base], rules: rules, kept: Set(table.chains.map(\.name).filter { $0 != "INPUT" && kept($0) }))
    }
}

extension Rule {
    /// The interfaces that it names for incoming packets.
    fileprivate var interfaceNames: [String] {
        matches.flatMap { match -> [String] in
            switch match {
            case .inInterface(let name, _): return [name]
            case .unknown(let words):
                let values = words.map(\.value)
                return values.indices.dropLast().filter { ["-i", "--in-interface"].contains(values[$0]) }
                    .map { values[$0 + 1] }
            default: return []
            }
        }
    }
}
