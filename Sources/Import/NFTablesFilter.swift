import Netfilter

/// The base chains of nf_tables at the input hook, and the chains they lead to.
package struct NFTablesFilter: FilterSource {
    private let tables: [NFTable]
    private let kept: @Sendable (String) -> Bool

    /// The chains of tables.
    ///
    /// - Parameters:
    ///   - tables: the tables, as nft lists them.
    ///   - kept: whether a chain belongs to a program that manages it by itself.
    package init(_ tables: [NFTable], kept: @escaping @Sendable (String) -> Bool = { _ in false }) {
        self.tables = tables.filter { table in
            ["inet", "ip", "ip6"].contains(table.id.family)
                && !table.lines.contains { $0.hasPrefix("flags ") && $0.contains("dormant") }
        }
        self.kept = kept
    }

    /// Whether any chain decides about incoming packets.
    package var isEmpty: Bool { !tables.contains { $0.chains.contains { $0.isInput } } }

    /// The chains that see incoming packets elsewhere than at the input hook, such as `inet filter prerouting`.
    package var others: [String] {
        tables.flatMap { table in
            table.chains.filter { chain in
                let hook = chain.hook ?? ""
                return hook.hasPrefix("type filter") && hook.contains(" hook prerouting ") && !chain.rules.isEmpty
            }.map { "\(table.id) \($0.name)" }
        }
    }

    package var interfaces: [String] {
        var names: Set<String> = []
        for line in tables.flatMap(\.chains).flatMap(\.rules) {
            let words = NFTWords.split(line)
            for index in words.indices where ["iifname", "iif"].contains(words[index]) {
                let values = words[(index + 1)...].drop { ["==", "!="].contains($0) }
                if values.first == "{" {
                    names.formUnion(values.dropFirst().prefix { $0 != "}" }.filter { $0 != "," && $0 != ":" })
                } else if let name = values.first {
                    names.insert(name)
                }
            }
        }
        return names.map { $0.filter { $0 != "\"" && $0 != "," } }.sorted()
    }

    /// The chains of a family, from a viewpoint.
    package func chains(from viewpoint: Viewpoint) -> FilterChains? {
        var all = FilterChains(bases: [], rules: [:])
        for table in tables where table.concerns(viewpoint.family) {
            let sets = table.elements
            for chain in table.chains {
                // Names are unique only in their table.
                let place = "\(table.id) \(chain.name)"
                var rules: [FilterRule] = []
                for line in chain.rules {
                    rules += NFTRuleReader.read(line, from: viewpoint, sets: sets).map { rule in
                        var rule = rule
                        rule.verdict = rule.verdict.inTable("\(table.id)")
                        return rule
                    }
                }
                all.rules[place] = rules
                if kept(chain.name) { all.kept.insert(place) }
                guard chain.isInput else { continue }
                let accepts = chain.policy == .accept
                all.bases.append(
                    FilterChains.Base(
                        place, accepts: accepts,
                        policy: "the policy of chain \(chain.name), table \(table.id): \(accepts ? "accept" : "drop")"))
            }
        }
        return all.bases.isEmpty ? nil : all
    }
}

extension FilterVerdict {
    fileprivate func inTable(_ table: String) -> FilterVerdict {
        switch self {
        case .jump(let chain): .jump("\(table) \(chain)")
        case .goto(let chain): .goto("\(table) \(chain)")
        case .accept, .block, .return, .none, .unknown: self
        }
    }
}

extension NFTable {
    fileprivate func concerns(_ family: Family) -> Bool {
        id.family == "inet" || id.family == (family == .ipv4 ? "ip" : "ip6")
    }

    /// The elements of named sets, and of maps with a colon before what they stand for.
    fileprivate var elements: [String: [String]] {
        var all: [String: [String]] = [:]
        for part in parts where part.kind == "set" || part.kind == "map" {
            var elements: [String] = []
            var isInside = false
            for line in part.lines {
                var words = NFTWords.split(line)
                if words.starts(with: ["elements", "=", "{"]) {
                    isInside = true
                    words.removeFirst(3)
                }
                guard isInside else { continue }
                if let end = words.firstIndex(of: "}") {
                    elements += words[..<end]
                    isInside = false
                } else {
                    elements += words
                }
            }
            all[part.name] = elements
        }
        return all
    }
}
