import Netfilter

/// The pending form of one table of nf_tables: on top of what the table contains now, behind gates.
///
/// For every base chain of the plan, a chain of latchkey's holds the future rules, and a gate sends packets there. A
/// base chain that the plan lacks gets a gate that accepts. The gates look into one set, whose elements the kernel
/// removes after a while.
struct TableTrial: Sendable, Equatable {
    /// The table.
    let id: NFTable.Name
    /// The parts that are added: chains, and the sets of the plan that the table lacks.
    private(set) var parts: [NFTable.Part] = []
    /// The gates, by the name of their base chain.
    private(set) var gates: [String: String] = [:]
    /// The base chains that are made for the gates, because the table lacks them.
    private(set) var made: [NFTable.Part] = []
    /// The parts that are only for the trial: not in the plan.
    private(set) var temporary: [NFTable.Part] = []

    /// The set that the gates look into.
    static let set = NFTable.Part("set", "trial", lines: ["type ether_type", "flags timeout"])
    /// The prefix of the names of latchkey's chains and sets.
    static let prefix = NFTable.Part.trialPrefix

    /// The trial of a table.
    ///
    /// - Parameters:
    ///   - plan: the future table; without parts, there will be none.
    ///   - previous: the present table; nil if there is none.
    init(of plan: NFTable, previous: NFTable?) {
        id = plan.id
        let present = previous ?? NFTable(plan.id)
        guard plan.comparable != present.comparable else { return }
        var taken = Set((plan.parts + present.parts).map(\.name)).union([Self.set.name])
        var names = NFTableNames()
        func free(_ wanted: String) -> String {
            var name = wanted
            var number = 2
            while !taken.insert(name).inserted {
                name = "\(wanted)-\(number)"
                number += 1
            }
            return name
        }
        for part in plan.parts where part.hook == nil {
            let isChain = part.kind == "chain"
            // Sets keep their name if it is free; chains always get another one, because what a chain holds may change,
            // and so do maps of verdicts, which lead to chains.
            if !isChain, !part.isVerdictMap {
                if let there = present.part(part.kind, part.name), there.lasting == part.lasting { continue }
                if part.name != Self.set.name, !present.parts.contains(where: { $0.name == part.name }) {
                    parts.append(part)
                    continue
                }
            }
            let name = free(Self.prefix + part.name)
            if isChain { names.chains[part.name] = name } else { names.sets[part.name] = name }
        }
        temporary = plan.parts.filter { $0.hook == nil }.compactMap { part in
            (part.kind == "chain" ? names.chains : names.sets)[part.name].map { name in
                part.renamed(name, by: names)
            }
        }
        parts = parts.map { $0.renamed($0.name, by: names) }
        for chain in plan.chains {
            guard let hook = chain.hook else { continue }
            var name = free(Self.prefix + chain.name)
            let verdict = "counter \(chain.policy == .drop ? "drop" : "accept") comment \"\(Gate.comment), policy\""
            let rules = chain.rules.map(names.renamed)
            let gate = Self.gate("goto \(name)")
            if rules.contains(where: NFTableNames.mayReturn) {
                // `return` means the policy: in a chain of its own it leads back to the rule that replaces the policy.
                let body = free(Self.prefix + chain.name)
                temporary.append(NFTable.Part("chain", body, lines: rules))
                temporary.append(NFTable.Part("chain", name, lines: ["jump \(body)", verdict]))
            } else {
                temporary.append(NFTable.Part("chain", name, lines: rules + [verdict]))
            }
            let there = present.part("chain", chain.name)
            if there?.hook == hook {
                gates[chain.name] = gate
            } else {
                name = there == nil ? chain.name : free(Self.prefix + chain.name)
                gates[name] = gate
                made.append(chain.with(policy: .accept, rules: [], named: name))
            }
        }
        for chain in present.chains {
            guard let hook = chain.hook, plan.part("chain", chain.name)?.hook != hook else { continue }
            gates[chain.name] = Self.gate("accept")
        }
    }

    /// Whether the change has no effect on the table: it already is as it should be.
    var isEmpty: Bool { gates.isEmpty }

    private static func gate(_ verdict: String) -> String {
        "meta protocol @\(set.name) \(verdict) comment \"\(Gate.comment)\""
    }

    // MARK: - Loading

    /// The text that loads the trial with its gates closed, in one transaction.
    ///
    /// - Parameter live: the table as it is now, without a trial; nil if there is none.
    /// - Returns: the text for nft(8).
    func loading(over live: NFTable?) -> String {
        guard !isEmpty else { return "" }
        let added = parts.filter { live?.part($0.kind, $0.name) == nil }
        let chains = made.filter { live?.part("chain", $0.name) == nil }
        let block = NFTable(id, parts: [Self.set] + added + temporary + chains)
        let places = gates.sorted { $0.key < $1.key }.filter { gate in
            live?.part("chain", gate.key) != nil || made.contains { $0.name == gate.key }
        }
        return block.text
            + places.map { chain, gate in
                // Temporary entries decide first.
                live?.placeOfTemporaryJump(in: chain).map { "add rule \(id) \(chain) index \($0) \(gate)\n" }
                    ?? "insert rule \(id) \(chain) \(gate)\n"
            }.joined()
    }

    /// Whether a table contains the complete, unchanged trial.
    func isComplete(in live: NFTable?) -> Bool {
        guard !isEmpty else { return true }
        guard let live, live.part(Self.set.kind, Self.set.name)?.lasting == Self.set.lasting else { return false }
        return (parts + temporary).allSatisfy { live.part($0.kind, $0.name)?.lasting == $0.lasting }
            && gates.allSatisfy { name, gate in live.part("chain", name)?.rules.contains(gate) ?? false }
    }
}

extension NFTable {
    /// The text that removes what is left of a trial from a table.
    ///
    /// - Parameters:
    ///   - handles: the table, with the handle of each rule at the end of its line and without the elements of sets.
    ///   - trial: the trial, if it is known.
    ///   - plan: the rules of the change: where they are permanent, their sets and chains stay.
    /// - Returns: the text for nft(8); "" if nothing is left.
    static func removingTrial(from handles: NFTable, trial: TableTrial?, plan: NFTable?) -> String {
        let rest = handles.withoutHandles.withoutTrial.withoutTemporary
        let isPermanent = plan.map { Set($0.chains.map(\.text)) == Set(rest.chains.map(\.text)) } ?? false
        // A chain and a set may have the same name.
        let added = isPermanent ? [] : trial.map { $0.parts + $0.made } ?? []
        let isAdded = { (part: Part) in added.contains { $0.kind == part.kind && $0.name == part.name } }
        var lines: [String] = []
        for chain in handles.chains where !chain.name.hasPrefix(TableTrial.prefix) {
            for rule in chain.rules where rule.isGate {
                guard let handle = rule.split(separator: " ").last else { continue }
                lines.append("delete rule \(handles.id) \(chain.name) handle \(handle)")
            }
        }
        // What somebody else has put rules into stays.
        let own = handles.parts.filter { part in
            guard part.hook == nil else {
                return (isAdded(part) || part.name.hasPrefix(TableTrial.prefix))
                    && part.rules.allSatisfy(\.isGate)
            }
            return isAdded(part) || part.name.hasPrefix(TableTrial.prefix)
                || (part.kind == "set" && part.name == TableTrial.set.name)
        }
        let chains = own.filter { $0.kind == "chain" }
        lines += chains.map { "flush chain \(handles.id) \($0.name)" }
        // Rules use sets and maps, and maps lead to chains.
        lines += own.filter { $0.kind != "chain" }.map { "delete \($0.kind) \(handles.id) \($0.name)" }
        lines += chains.map { "delete chain \(handles.id) \($0.name)" }
        return lines.map { "\($0)\n" }.joined()
    }

    /// The same table without the handles that `nft -a` adds.
    private var withoutHandles: NFTable {
        var table = self
        table.parts = parts.map { part in
            Part(part.kind, part.name, lines: part.lines.map { String(Self.withoutHandle($0[...])) })
        }
        return table
    }

    /// A line without the handle at its end.
    static func withoutHandle(_ line: Substring) -> Substring {
        let end = line.utf8.reversed().drop { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.startIndex.base
        let mark = " # handle "
        return end < line.endIndex && line[..<end].hasSuffix(mark) ? line[..<end].dropLast(mark.count) : line
    }

    /// The same table without any trial.
    package var withoutTrial: NFTable {
        var table = self
        table.parts = parts.filter {
            !$0.name.hasPrefix(TableTrial.prefix) && !($0.kind == "set" && $0.name == TableTrial.set.name)
        }.map { part in
            guard part.kind == "chain" else { return part }
            return Part(part.kind, part.name, lines: part.lines.filter { !$0.isGate })
        }
        return table
    }

    /// Whether chains at hooks have other rules than gates.
    var hasOtherRules: Bool {
        withoutTrial.chains.contains { $0.hook != nil && !$0.rules.isEmpty }
    }

    /// Whether it contains a gate, or a part of a trial.
    var hasTrial: Bool { withoutTrial != self }

    /// Whether two lists contain the same tables, whatever is in the sets whose elements come and go.
    package static func areSame(_ left: [NFTable], _ right: [NFTable]) -> Bool {
        left.count == right.count
            && left.allSatisfy { table in right.first { $0.id == table.id }?.comparable == table.comparable }
    }

    /// Its parts for a comparison, in an order of their own.
    var comparable: [Part] {
        parts.map { Part($0.kind, $0.name, lines: $0.lasting) }.sorted { ($0.kind, $0.name) < ($1.kind, $1.name) }
    }
}

extension NFTable.Part {
    /// Whether it is a map of verdicts, which may lead to chains.
    fileprivate var isVerdictMap: Bool {
        kind == "map" && lines.contains { $0.hasPrefix("type ") && $0.hasSuffix(": verdict") }
    }

    /// The part under another name, and with the new names of others in its lines.
    fileprivate func renamed(_ name: String, by names: NFTableNames) -> NFTable.Part {
        // A set of addresses names nothing, and it may have a million lines.
        NFTable.Part(kind, name, lines: isOwnSet ? lines : lines.map(names.renamed))
    }

    fileprivate func with(policy: ChainPolicy, rules: [String], named name: String) -> NFTable.Part {
        var part = with(policy: policy, rules: rules)
        part.name = name
        return part
    }
}

extension String {
    /// Whether a rule leads into a trial.
    var isGate: Bool { contains("comment \"\(Gate.comment)\"") }
}
