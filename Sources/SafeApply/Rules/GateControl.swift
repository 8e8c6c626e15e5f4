import Host
import Netfilter

/// Opens and closes the gates of both families; needs no dump and no rule.
protocol GateControl: Sendable {
    /// Opens the gates, or keeps them open for as long again.
    ///
    /// - Throws: `file` where a gate is gone, because somebody removed its rule.
    func renew() throws(HostError)

    /// Closes the gates: the previous rules decide from now on.
    ///
    /// - Throws: what keeps a gate from being closed.
    func close() throws(HostError)

    /// Whether the kernel shows all of them closed.
    var areClosed: Bool { get }
}

/// Gates that rest on the match `recent`: one write a gate.
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

    /// Whether the kernel has them, and this process may write to them.
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

/// Gates that rest on ipsets with a timeout: one program a renewal.
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

    /// ipset tells by its status that it did what it was asked.
    var areClosed: Bool { (try? close()) != nil }

    private func run(_ lines: String) throws(HostError) {
        try BlockingCommand.run(program, ["restore"], input: Array(lines.utf8), seconds: 3)
    }
}

/// Gates without a condition: they are open from the moment they are loaded until they are removed.
struct UnconditionalGates: GateControl {
    /// Gates that may be there instead, where a guard before this one did not say which it loaded.
    var others: RecentGates?

    func renew() throws(HostError) {}

    func close() throws(HostError) { try others?.close() }

    var areClosed: Bool { false }
}
