import Host
import Netfilter

/// Opens and closes the gates of both families, without reading or changing rules.
protocol GateControl: Sendable {
    /// Opens the gates, or extends the time that they stay open.
    ///
    /// - Throws: `file` if a gate is missing because its rule was removed.
    func renew() throws(HostError)

    /// Closes the gates: the previous rules are active from now on.
    ///
    /// - Throws: the error, if a gate cannot be closed.
    func close() throws(HostError)

    /// Whether the kernel shows all of them closed.
    var areClosed: Bool { get }
}

/// Gates with the `recent` match: one write for each gate.
struct RecentGates: GateControl {
    private let lists: [(list: RecentList, address: String)]

    /// The gates of trials.
    init(_ trials: PerFamily<Trial>, folder: String) {
        lists = trials.present.flatMap { family, trial in
            let gate = Gate(.recent, family)
            return trial.tables.flatMap { table in
                table.gates.map { rule, _ in
                    let name = gate.listName(table: table.name, chain: rule.chain)
                    return (RecentList(name: name, folder: folder), gate.anyAddress)
                }
            }
        }
    }

    /// Whether they exist and this process may write to them.
    var areWritable: Bool { lists.allSatisfy(\.list.isWritable) }

    func renew() throws(HostError) {
        for (list, address) in lists { try list.note(address) }
    }

    func close() throws(HostError) {
        var trouble: HostError?
        for (list, _) in lists {
            do { try list.clear() } catch { trouble = error }
        }
        if let trouble { throw trouble }
    }

    var areClosed: Bool { lists.allSatisfy(\.list.isEmpty) }
}

/// Gates with ipsets that have a timeout: a renewal runs one program.
struct SetGates: GateControl {
    private let program: String
    private let gates: [Gate]

    init(_ families: [Family], program: String) {
        self.program = program
        gates = families.map { Gate(.set, $0) }
    }

    func renew() throws(HostError) {
        let lines = gates.flatMap { gate in
            gate.halves.map { "add \(gate.name) \($0) timeout \(gate.seconds) -exist\n" }
        }
        try run(lines.joined())
    }

    func close() throws(HostError) { try run(gates.map { "flush \($0.name)\n" }.joined()) }

    /// ipset's exit status shows whether they are closed.
    var areClosed: Bool { (try? close()) != nil }

    private func run(_ lines: String) throws(HostError) {
        try BlockingCommand.run(program, ["restore"], input: Array(lines.utf8), seconds: 3)
    }
}

/// Gates with nftables sets whose elements have a timeout: one transaction for all of them, without a program.
struct TimeoutGates: GateControl {
    /// The set of each gate.
    let sets: [TimedSet]

    func renew() throws(HostError) { try TimedSet.renew(sets, seconds: Gate.usualSeconds) }

    func close() throws(HostError) { try TimedSet.close(sets) }

    var areClosed: Bool { TimedSet.areClosed(sets) }
}

/// Gates without a condition: they are open from the moment they are loaded until they are removed.
struct UnconditionalGates: GateControl {
    /// Gates that may exist instead, if a previous guard did not record which kind it loaded.
    var others: RecentGates?

    func renew() throws(HostError) {}

    func close() throws(HostError) { try others?.close() }

    var areClosed: Bool { false }
}
