import Host
import Netfilter
import SafeApply

/// The other firewall managers that would sooner or later undo, bypass or close what is kept.
///
/// `apply`, `rehearse`, the wizard and `doctor` speak of them in the same words.
struct OtherManagers: Sendable {
    let findings: [FirewallFinding]

    /// Finds those of this machine.
    init(_ facts: FactSource) { findings = OtherFirewalls(facts).inTheWay() }

    var isEmpty: Bool { findings.isEmpty }

    /// Those whose rules can be imported.
    var importable: [ImportProgram] { findings.compactMap { ImportProgram(rawValue: $0.name) } }

    /// Their names, for a sentence.
    var names: String { findings.map(\.name).joined(separator: " and ") }

    /// What they are and do.
    var sentences: String {
        findings.map(\.sentences).joined(separator: " ")
    }

    /// What to do, for a report that refuses nothing.
    static let advice =
        "\"latchkey apply\" refuses to work beside it; with --take-over, it is disabled when you keep the change."

    /// Refuses a change beside them.
    ///
    /// - Throws: `Failure` with status 4, unless there are none.
    func refuse() throws(Failure) {
        guard !isEmpty else { return }
        if let other = findings.first(where: { $0.control == nil }) {
            throw Failure(
                .refused, "\(sentences) Only one program can manage this firewall.",
                activeRules: Failure.nothingChanged, next: other.remedy)
        }
        let look = importable.first.map { "\"latchkey import \($0.rawValue)\" shows what it allows now. " } ?? ""
        throw Failure(
            .refused, "\(sentences) Only one program can manage this firewall.", activeRules: Failure.nothingChanged,
            next:
                "let latchkey take over (sudo latchkey apply --take-over): while the change is pending, \(names) stays "
                + "as it is; if you keep the change, \(names) is disabled and stopped. \(look)Or keep \(names), and leave "
                + "the firewall to it.")
    }

    /// Makes them part of a change: they go when it is kept.
    ///
    /// - Parameters:
    ///   - shield: a table of nftables for the moment in which the managers stop; nil if they cannot remove the change's
    ///     rules.
    ///   - environment: the machine.
    /// - Returns: nil if there are none.
    /// - Throws: `Failure` with status 69 if one of them cannot be stopped here, or its tables cannot be read.
    func takeOver(shield: String?, in environment: ChangeEnvironment) async throws(Failure) -> TakeOver? {
        guard !isEmpty else { return nil }
        if let other = findings.first(where: { $0.control == nil }) {
            throw Failure(
                .missing, "\(other.name) cannot be taken over.", activeRules: Failure.nothingChanged, next: other.remedy
            )
        }
        for command in findings.compactMap(\.control).flatMap({ $0.stop + $0.start })
        where environment.toolbox.find(command[0]) == nil {
            throw Failure(
                .missing, "\(names) cannot be taken over: \"\(command[0])\" is not installed.",
                activeRules: Failure.nothingChanged)
        }
        var tables: [NFTable] = []
        for finding in findings {
            if let path = finding.ruleFile { tables += try await Self.tables(in: path, environment) }
        }
        return TakeOver(
            managers: findings.compactMap(\.control), tables: tables.map(\.text).joined(), shield: shield)
    }

    /// The active tables that a file for nft makes.
    private static func tables(in path: String, _ environment: ChangeEnvironment) async throws(Failure) -> [NFTable] {
        guard let bytes = try? SecureFiles.read(path) else { return [] }
        do {
            let kernel = try LiveTables(toolbox: environment.toolbox, runner: environment.runner)
            let file = try await HandWrittenTables(kernel).tables(String(decoding: bytes, as: UTF8.self), named: path)
            return try await kernel.read(file.map(\.id).filter { $0 != .latchkey })
        } catch { throw Failure(error) }
    }
}

extension FirewallFinding {
    /// What it is and does.
    var sentences: String { "\(name) is \(state == .running ? "running" : "enabled"). \(meaning)" }
}

extension ChangeRunner {
    /// The other firewall managers that a change takes over.
    ///
    /// - Parameters:
    ///   - isWanted: whether the user wants that.
    ///   - facts: where facts about the machine are read.
    ///   - shield: makes the table of nftables that holds while the managers stop; nil if none is needed.
    /// - Returns: nil if there are none.
    /// - Throws: `Failure` with status 4 if there are some and the user did not ask for it; 69 as `OtherManagers.takeOver`.
    func takeOver(
        _ isWanted: Bool, facts: FactSource, shield: () throws(Failure) -> String? = { nil }
    ) async throws(Failure) -> TakeOver? {
        let managers = OtherManagers(facts)
        if !isWanted { try managers.refuse() }
        guard !managers.isEmpty else { return nil }
        return try await managers.takeOver(shield: try shield(), in: environment)
    }

    /// Offers back the managers that latchkey took over, for a change that ends its own management.
    ///
    /// - Parameter earlier: the record of the kept rules that the change goes back to; nil if nothing was kept then.
    /// - Returns: nil if there are none.
    func offer(since earlier: KeptRules?) -> String? {
        let before = Set((earlier?.takenOver ?? []).map(\.name))
        let managers = ((try? Persistence(environment).lastKept())?.takenOver ?? []).filter {
            !before.contains($0.name)
        }
        guard !managers.isEmpty else { return nil }
        let takeOver = TakeOver(managers: managers)
        return
            "latchkey took over from \(takeOver.names), which this change does not start again. Once you have kept the "
            + "change, have it back with: \(takeOver.startText)"
    }

    /// Says what happens to the managers that a change takes over.
    static func note(of takeOver: TakeOver?) -> String? {
        takeOver.map { takeOver in
            "\(takeOver.names) stays as it is while the change is pending: what it blocks may stay blocked until then. If "
                + "you keep the change, \(takeOver.names) is disabled and stopped."
        }
    }
}
