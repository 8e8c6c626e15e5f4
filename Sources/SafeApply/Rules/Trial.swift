import Netfilter

/// The pending form of rules in one family: on top of the previous rules, behind gates.
///
/// For every built-in chain that the change covers, a chain of latchkey's holds its future content, and a gate sends
/// packets there. A chain that does not change has no gate.
package struct Trial: Sendable, Equatable {
    /// The part of one table.
    struct TrialTable: Sendable, Equatable {
        let name: String
        /// latchkey's chains.
        var chains: [String] = []
        /// Their rules.
        var rules: [Rule] = []
        /// The rules that lead there, each with its position in its chain, counted from 1.
        var gates: [(rule: Rule, place: Int)] = []

        static func == (left: Self, right: Self) -> Bool {
            left.name == right.name && left.chains == right.chains && left.rules == right.rules
                && left.gates.map(\.rule) == right.gates.map(\.rule)
                && left.gates.map(\.place) == right.gates.map(\.place)
        }
    }

    let tables: [TrialTable]

    /// The prefix of the names of latchkey's chains.
    static let chainPrefix = "latchkey-trial"

    /// The trial of a plan.
    ///
    /// - Parameters:
    ///   - plan: the rules of the change.
    ///   - scope: its scope.
    ///   - previous: the rules that are active now.
    ///   - gate: the condition of its gates.
    ///   - taking: the programs that the change takes over: the gate is ahead of their jumps.
    init(of plan: RuleSet, scope: ChangeScope, previous: RuleSet, gate: Gate, taking: Set<String> = []) {
        tables = WantedRules(plan, scope: scope).tables.compactMap { wanted in
            let table =
                if let removal = wanted.removal {
                    Self.removal(removal, previous[wanted.name] ?? Table(wanted.name, chains: []), gate)
                } else if wanted.isWhole {
                    Self.whole(wanted, previous[wanted.name], gate)
                } else {
                    Self.inputAlone(wanted, previous, gate, taking: taking)
                }
            return table.gates.isEmpty ? nil : table
        }
    }

    /// Whether the change has no effect: the active rules are already the wanted ones.
    var isEmpty: Bool { tables.isEmpty }

    // MARK: - Creation

    /// The trial of INPUT, after the jumps into other programs' chains at its beginning.
    ///
    /// Those jumps stay, and their owners may remove them at any time. Later jumps are repeated in the trial, in the
    /// positions that they have once it is kept.
    private static func inputAlone(
        _ wanted: WantedRules.WantedTable, _ previous: RuleSet, _ gate: Gate, taking: Set<String>
    ) -> TrialTable {
        var trial = TrialTable(name: wanted.name)
        let present = previous["filter"]?.rulesByChain["INPUT"] ?? []
        let others = RuleEdits.userChains(in: previous, taking: taking)
        let leading = present.prefix { RuleEdits.isForeignJump($0, others) }.count
        let later = present[leading...].filter { RuleEdits.isForeignJump($0, others) }
        let taken = Set(previous["filter"]?.chains.map(\.name) ?? [])
        let name = freeName("\(chainPrefix)-INPUT", taken)
        trial.chains = [name]
        trial.rules = (later + (wanted.base.first?.rules ?? [])).map { $0.moved(to: name) }
        if let policy = wanted.base.first?.policy {
            let verdict: Target = policy == .accept ? .accept : .drop
            trial.rules.append(Rule(name, [.comment("\(Gate.comment), policy")], target: verdict))
        }
        trial.gates = [(Rule("INPUT", gate.matches(table: "filter", chain: "INPUT"), target: .goto(name)), leading + 1)]
        addPublished(wanted, previous["filter"], gate, to: &trial, free: { freeName($0, taken) })
        return trial
    }

    /// The trial of a removal: what stays in each chain from which something goes, after the jumps into other programs'
    /// chains at its beginning.
    private static func removal(_ removal: RuleRemoval, _ previous: Table, _ gate: Gate) -> TrialTable {
        var trial = TrialTable(name: previous.name)
        let rules = previous.rulesByChain
        let others = Set(previous.chains.filter { $0.policy == nil }.map(\.name))
        let used = removal.usedChains(of: previous)
        var taken = others
        func free(_ wanted: String) -> String {
            let name = freeName(wanted, taken)
            taken.insert(name)
            trial.chains.append(name)
            return name
        }
        for chain in removal.chains(of: previous) where used.contains(chain) {
            let present = rules[chain] ?? []
            let stays = { (rule: Rule) in !removal.goes(rule, from: previous.name) }
            let leading = present.prefix { RuleEdits.isForeignJump($0, others) && stays($0) }.count
            let rest = present[leading...].filter(stays)
            // A user chain may have a long name.
            let name = free(
                others.contains(chain) ? "\(chainPrefix)-\(trial.chains.count + 1)" : "\(chainPrefix)-\(chain)")
            var body = name
            let policy = removal.policy(of: chain, in: previous)
            if policy != nil, rest.contains(where: \.mayLeaveByPolicy) {
                body = free("\(name)-2")
                trial.rules.append(Rule(name, target: .jump(body)))
            }
            trial.rules += rest.map { $0.moved(to: body) }
            if policy != nil {
                trial.rules.append(Rule(name, [.comment("\(Gate.comment), policy")], target: .accept))
            }
            trial.gates.append(
                (Rule(chain, gate.matches(table: previous.name, chain: chain), target: .goto(name)), leading + 1))
        }
        return trial
    }

    /// Adds the future decision about published ports.
    ///
    /// Where latchkey's chain is already there, the gate is in it, so that the rules in it do not decide as well;
    /// otherwise there is a gate in each chain that will lead to it. Those jump: what the trial returns goes on there.
    private static func addPublished(
        _ wanted: WantedRules.WantedTable, _ previous: Table?, _ gate: Gate, to trial: inout TrialTable,
        free: (String) -> String
    ) {
        let present = PublishedRules(in: previous)
        let future = wanted.user.first { $0.name == PublishedChains.own }?.rules
        let leads = { (chain: WantedRules.WantedChain) in !chain.rules.isEmpty }
        let isSame =
            future?.map(\.body) == present.rules?.map(\.body)
            && wanted.shared.allSatisfy { leads($0) == (present.jumps[$0.name] != nil) }
        guard !isSame else { return }
        var target = Target.return
        if let future {
            let name = free("\(chainPrefix)-docker")
            trial.chains.append(name)
            trial.rules += future.map { $0.moved(to: name) }
            target = .goto(name)
        }
        func add(_ chain: String, _ target: Target) {
            trial.gates.append((Rule(chain, gate.matches(table: "filter", chain: chain), target: target), 1))
        }
        if present.rules != nil { add(PublishedChains.own, target) }
        guard case .goto(let name) = target else { return }
        for chain in wanted.shared where leads(chain) && present.jumps[chain.name] == nil {
            guard chain.name != PublishedChains.dockerUser || previous?.chain(chain.name) != nil else { continue }
            add(chain.name, .jump(name))
        }
    }

    private static func whole(_ wanted: WantedRules.WantedTable, _ previous: Table?, _ gate: Gate) -> TrialTable {
        var trial = TrialTable(name: wanted.name)
        let present = previous?.rulesByChain ?? [:]
        let future = Dictionary(
            (wanted.base + wanted.user).map { ($0.name, $0.rules) }, uniquingKeysWith: { _, last in last })
        var taken = Set((previous?.chains ?? []).map(\.name))
        var names: [String: String] = [:]
        for chain in wanted.user {
            names[chain.name] = freeName("\(chainPrefix)-\(names.count + 1)", taken)
            taken.insert(names[chain.name] ?? "")
        }
        var reached: Set<String> = []
        for chain in wanted.base {
            let policy = chain.policy ?? .accept
            let before = previous?.chain(chain.name)?.policy ?? .accept
            let content = Content(from: chain.name, in: future)
            guard policy != before || content != Content(from: chain.name, in: present) else { continue }
            let verdict: Target = policy == .accept ? .accept : .drop
            let name = freeName("\(chainPrefix)-\(chain.name)", taken)
            taken.insert(name)
            trial.chains.append(name)
            var body = name
            if chain.rules.contains(where: \.mayLeaveByPolicy) {
                // RETURN, and the end of a chain that a goto led to, mean the policy: in a chain of their own they lead
                // back to the rule that replaces it.
                body = freeName("\(name)-2", taken)
                taken.insert(body)
                trial.chains.append(body)
                trial.rules.append(Rule(name, target: .jump(body)))
            }
            trial.rules += chain.rules.map { $0.moved(to: body, renaming: names) }
            trial.rules.append(Rule(name, [.comment("\(Gate.comment), policy")], target: verdict))
            trial.gates.append(
                (Rule(chain.name, gate.matches(table: wanted.name, chain: chain.name), target: .goto(name)), 1))
            reached.formUnion(content.chains)
        }
        for chain in wanted.user where reached.contains(chain.name) {
            guard let name = names[chain.name] else { continue }
            trial.chains.append(name)
            trial.rules += chain.rules.map { $0.moved(to: name, renaming: names) }
        }
        return trial
    }

    /// A name that no other chain has; 28 bytes are enough for the longest name of a built-in chain.
    private static func freeName(_ wanted: String, _ taken: Set<String>) -> String {
        var name = wanted
        var number = 1
        while taken.contains(name) {
            name = "\(chainPrefix)-x\(number)"
            number += 1
        }
        return name
    }

    /// All rules that a packet can reach from a chain.
    private struct Content: Equatable {
        var rules: [String: [String]] = [:]
        var chains: Set<String> { Set(rules.keys) }

        init(from chain: String, in table: [String: [Rule]]) {
            var open = [chain]
            while let next = open.popLast() {
                guard rules[next] == nil else { continue }
                let own = table[next] ?? []
                rules[next] = own.map(\.body)
                open += own.compactMap(\.jumpsTo)
            }
        }
    }

    // MARK: - Loading and removing

    /// Whether the live rules contain the complete, unchanged trial.
    func isComplete(in live: RuleSet) -> Bool {
        tables.allSatisfy { trial in
            let present = live[trial.name]?.rulesByChain ?? [:]
            let wanted = Dictionary(grouping: trial.rules, by: \.chain)
            return trial.gates.allSatisfy { gate in
                (present[gate.rule.chain] ?? []).contains { $0.body == gate.rule.body }
            } && trial.chains.allSatisfy { (present[$0] ?? []).map(\.body) == (wanted[$0] ?? []).map(\.body) }
        }
    }

    /// The chains that contain it, by table: those of the gates and those that the gates lead to.
    var places: [String: [String]] {
        Dictionary(
            tables.map { ($0.name, Set($0.gates.map(\.rule.chain)).sorted() + $0.chains) },
            uniquingKeysWith: { _, last in last })
    }

    /// The input that loads the trial, one transaction for each table; it replaces an earlier trial and nothing else.
    ///
    /// - Parameter live: the rules that are active now.
    /// - Returns: the input for iptables-restore.
    func loading(over live: RuleSet) -> RestoreInput {
        let texts = tables.map { trial in
            let leftover = Leftover(in: live[trial.name], besides: trial.chains)
            let present = live[trial.name]?.rulesByChain ?? [:]
            var lines = leftover.lines(keeping: Set(trial.chains))
            lines += trial.chains.flatMap { [":\($0) - \(Counters.zero.text)", "-F \($0)"] }
            // A chain whose owner has removed it since is made again.
            let gated = Set(trial.gates.map(\.rule.chain)).subtracting(Chain.builtIn(ofTable: trial.name) ?? [])
            lines += gated.sorted().filter { live[trial.name]?.chain($0) == nil }.map {
                ":\($0) - \(Counters.zero.text)"
            }
            lines += trial.rules.map(\.text)
            lines += trial.gates.flatMap { gate -> [String] in
                var rules = (present[gate.rule.chain] ?? []).filter { !$0.isGate }
                let first = Self.temporaryJump(behindOthersIn: rules)
                rules.insert(contentsOf: first, at: 0)
                return (first.map { ($0, 1) } + [(gate.rule, Self.place(of: gate.place, in: rules))]).map {
                    "-I \(gate.rule.chain) \($1) \($0.body)"
                }
            }
            return Self.text(trial.name, lines)
        }
        return RestoreInput(text: texts.joined(), flush: false, counters: false)
    }

    /// The rule that leads to the temporary entries, if another program's rule is ahead of it; otherwise nothing.
    ///
    /// Temporary entries decide before a trial, so that they need such a rule at the beginning of the chain as well.
    private static func temporaryJump(behindOthersIn rules: [Rule]) -> [Rule] {
        let isJump = { (rule: Rule) in rule.jumpsTo == TemporaryParts.chain }
        guard !rules.prefix(while: \.isTemporary).contains(where: isJump) else { return [] }
        return rules.first(where: isJump).map { [$0] } ?? []
    }

    /// The place of a gate among the active rules, of which other programs may have removed some in the meantime.
    ///
    /// Temporary entries are not counted in the planned place, and those that are there decide first.
    private static func place(of planned: Int, in rules: [Rule]) -> Int {
        var counted = 0
        let ahead = rules.prefix { rule in
            if rule.isTemporary { return true }
            counted += 1
            return counted < planned
        }
        return ahead.count + 1
    }

    /// The input that removes the trial, made without reading the rules; the tool refuses all of it if a part is missing.
    var removing: RestoreInput {
        let texts = tables.map { trial in
            let gates = trial.gates.map { "-D \($0.rule.chain) \($0.rule.body)" }
            return Self.text(
                trial.name, gates + trial.chains.map { "-F \($0)" } + trial.chains.map { "-X \($0)" })
        }
        return RestoreInput(text: texts.joined(), flush: false, counters: false)
    }

    /// The input that removes all that is left of this trial and of any other; nil if nothing is.
    ///
    /// - Parameters:
    ///   - live: the rules that are active now.
    ///   - trial: a trial whose chains are removed even if no gate leads to them.
    /// - Returns: the input for iptables-restore.
    static func removing(from live: RuleSet, trial: Trial? = nil) -> RestoreInput? {
        let texts = live.tables.compactMap { table -> String? in
            let chains = trial?.tables.first { $0.name == table.name }?.chains ?? []
            let lines = Leftover(in: table, besides: chains).lines(keeping: [])
            return lines.isEmpty ? nil : text(table.name, lines)
        }
        return texts.isEmpty ? nil : RestoreInput(text: texts.joined(), flush: false, counters: false)
    }

    private static func text(_ table: String, _ lines: [String]) -> String {
        (["*\(table)"] + lines + ["COMMIT"]).joined(separator: "\n") + "\n"
    }

    /// The parts of trials in a table: gates, and the chains they lead to.
    private struct Leftover {
        var gates: [(chain: String, place: Int)] = []
        var chains: [String] = []

        init(in table: Table?, besides known: [String]) {
            guard let table else { return }
            let rules = table.rulesByChain
            let own = Set(table.chains.filter { $0.name.hasPrefix(Trial.chainPrefix) }.map(\.name))
            var open = known
            for (chain, rules) in rules.sorted(by: { $0.key < $1.key }) where !own.contains(chain) {
                for (index, rule) in rules.enumerated().reversed() where rule.isGate {
                    gates.append((chain, index + 1))
                    open += rule.jumpsTo.map { [$0] } ?? []
                }
            }
            var found: Set<String> = []
            while let next = open.popLast() {
                guard own.contains(next), found.insert(next).inserted else { continue }
                open += (rules[next] ?? []).compactMap(\.jumpsTo)
            }
            chains = table.chains.map(\.name).filter(found.contains)
        }

        func lines(keeping kept: Set<String>) -> [String] {
            gates.map { "-D \($0.chain) \($0.place)" } + chains.map { "-F \($0)" }
                + chains.filter { !kept.contains($0) }.map { "-X \($0)" }
        }
    }
}

extension RuleSet {
    /// Whether it contains a gate, or a chain that a gate leads to.
    var hasTrial: Bool { Trial.removing(from: self) != nil }

    /// The same rules without any trial.
    var withoutTrial: RuleSet {
        guard hasTrial else { return self }
        return mapTables { table in
            let entries = table.entries.filter { entry in
                switch entry.statement {
                case .chain(let chain): !chain.name.hasPrefix(Trial.chainPrefix)
                case .rule(let rule): !rule.isGate && !rule.chain.hasPrefix(Trial.chainPrefix)
                case .command, .note: true
                }
            }
            return Table(table.name, entries: entries)
        }
    }
}

extension Rule {
    /// Whether it may send a packet to the policy before the end of the chain.
    fileprivate var mayLeaveByPolicy: Bool {
        switch target {
        case .return, .goto: true
        case .unknown(let words):
            ["-g", "--goto"].contains(words.first?.value ?? "") || words.dropFirst().first?.value == "RETURN"
        case .accept, .drop, .jump, .log, .reject, nil: false
        }
    }

    /// The same rule in another chain, without counters, with renamed jump targets.
    fileprivate func moved(to chain: String, renaming names: [String: String] = [:]) -> Rule {
        var rule = withoutCounters
        rule.chain = chain
        switch target {
        case .jump(let name): rule.target = .jump(names[name] ?? name)
        case .goto(let name): rule.target = .goto(names[name] ?? name)
        case .unknown(let words) where target?.chain != nil:
            rule.target = .words([words[0].value, names[words[1].value] ?? words[1].value])
        default: break
        }
        return rule
    }
}
