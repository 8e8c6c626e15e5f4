extension RuleSet {
    /// The rules in a canonical form: two rule sets are equivalent if, and only if, their canonical forms are equal.
    ///
    /// Counters, comment lines and spellings are removed; tables and user chains are sorted by name; the commands of
    /// hand-written files are carried out; and tables that accept everything are omitted, because iptables-nft prints
    /// only the tables and built-in chains that exist, and a missing one accepts.
    package func normalized() -> RuleSet {
        var names: [String] = []
        for table in tables where !names.contains(table.name) { names.append(table.name) }
        return RuleSet(tables: names.sorted().compactMap { self[$0]?.normalized() })
    }
}

extension Table {
    /// The table in its canonical form; nil if it accepts everything and contains nothing.
    package func normalized() -> Table? {
        var state = TableState(name)
        for entry in entries { state.carryOut(entry.statement) }
        return state.table
    }
}

/// The chains of a table while its lines are carried out one by one.
private struct TableState {
    private let name: String
    private let builtIn: [String]
    private var policies: [String: ChainPolicy] = [:]
    private var rules: [String: [Rule]] = [:]
    private var userChains: Set<String> = []
    /// Commands that cannot be carried out without the kernel; they are kept as they are.
    private var leftovers: [Entry] = []

    init(_ name: String) {
        self.name = name
        builtIn = Chain.builtIn(ofTable: name) ?? []
    }

    var table: Table? {
        let isOpen = builtIn.allSatisfy { policies[$0] ?? .accept == .accept && rules[$0, default: []].isEmpty }
        if isOpen, userChains.isEmpty, leftovers.isEmpty { return nil }
        let own = userChains.sorted()
        let chains = builtIn.map { Chain($0, policy: policies[$0] ?? .accept) } + own.map { Chain($0) }
        let inOrder = (builtIn + own).flatMap { rules[$0, default: []] }
        return Table(name, entries: Table(name, chains: chains, rules: inOrder).entries + leftovers)
    }

    mutating func carryOut(_ statement: Entry.Statement) {
        switch statement {
        case .chain(let chain): declare(chain.name, chain.policy)
        case .rule(let rule): rules[rule.chain, default: []].append(rule.withoutCounters)
        case .command(let words): if !carryOut(words) { leftovers.append(Entry(.command(words))) }
        case .note: break
        }
    }

    private mutating func declare(_ chain: String, _ policy: ChainPolicy?) {
        if let policy { policies[chain] = policy }
        if !builtIn.contains(chain) { userChains.insert(chain) }
    }

    private mutating func carryOut(_ words: [Word]) -> Bool {
        guard let command = words.first?.value else { return true }
        let chain = words.dropFirst().first?.value
        let rest = words.dropFirst(2)
        switch command {
        case "-P", "--policy":
            guard let chain, let policy = rest.first.flatMap({ ChainPolicy(rawValue: $0.value) }) else { return false }
            policies[chain] = policy
        case "-N", "--new-chain", "--new":
            guard let chain else { return false }
            userChains.insert(chain)
        case "-F", "--flush":
            if let chain { rules[chain] = nil } else { rules = [:] }
        case "-X", "--delete-chain":
            if let chain { userChains.remove(chain) } else { userChains = [] }
        case "-Z", "--zero":
            break
        case "-E", "--rename-chain":
            guard let chain, let new = rest.first?.value else { return false }
            return rename(chain, new)
        case "-I", "--insert":
            return edit(chain, rest) { rules, index, rule in
                let place = index ?? 1
                guard let rule, (1...rules.count + 1).contains(place) else { return false }
                rules.insert(rule, at: place - 1)
                return true
            }
        case "-D", "--delete":
            return edit(chain, rest) { rules, index, rule in
                let place = index.map { $0 - 1 } ?? rules.firstIndex { $0 == rule }
                guard let place, rules.indices.contains(place) else { return false }
                rules.remove(at: place)
                return true
            }
        default:
            return false
        }
        return true
    }

    /// Renames a user chain; rules that jump to it still do.
    private mutating func rename(_ old: String, _ new: String) -> Bool {
        guard userChains.contains(old), !userChains.contains(new), !builtIn.contains(new) else { return false }
        userChains.remove(old)
        userChains.insert(new)
        rules[new] = rules.removeValue(forKey: old)
        rules = rules.mapValues { $0.map { $0.renaming(chain: old, to: new) } }
        return true
    }

    /// Changes a chain's rules by a number, a rule or both, as in `-I INPUT 1 -j ACCEPT`.
    private mutating func edit(
        _ chain: String?, _ words: ArraySlice<Word>, _ change: (inout [Rule], Int?, Rule?) -> Bool
    ) -> Bool {
        guard let chain else { return false }
        let index = words.first.flatMap { Ascii.number($0.value, as: Int.self) }
        let rule = try? Rule(chain: chain, counters: nil, words: index == nil ? words : words.dropFirst())
        return change(&rules[chain, default: []], index, rule)
    }
}

extension Rule {
    /// The same rule after a chain was renamed.
    fileprivate func renaming(chain old: String, to new: String) -> Rule {
        var rule = self
        if chain == old { rule.chain = new }
        guard jumpsTo == old else { return rule }
        switch target {
        case .jump: rule.target = .jump(new)
        case .goto: rule.target = .goto(new)
        case .unknown(let words): rule.target = .unknown(words.prefix(1) + [Word(new)])
        case .accept, .drop, .return, .log, .reject, nil: break
        }
        return rule
    }
}
