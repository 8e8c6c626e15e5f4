import Glibc
import Host
import Import
import Interview
import Netfilter
import Policy
import SafeApply

/// The wizard's actions: plans, rehearsals, files.
struct SetupActions: WizardActions {
    let planner: Planner
    let facts: FactSource
    let caller: Caller
    let live: PerFamily<RuleSet>?
    /// The backend that a change would use; nil if there is none.
    let backend: Backend?
    /// The live table of the backend nftables; nil if there is none.
    let liveTable: NFTable?
    /// The kept rules of another backend, which go with a change.
    let retirement: Retirement?
    /// The other firewall managers that a change can take over; nil if there are none.
    let takeOver: TakeOver?
    /// Imports the rules of the first of these managers whose rules can be imported; nil if there is none.
    let importing: @Sendable () async throws(Failure) -> ImportedAnswers?
    /// nil if iptables is not installed, so that no rehearsal is possible.
    let rehearsalRunner: RehearsalRunner?
    let skipsRehearsal: Bool
    let isRoot: Bool

    func importAnswers() async throws(Refusal) -> (answers: Answers, notes: [String]) {
        do throws(Failure) {
            guard let imported = try await importing() else { throw Failure(.missing, "Nothing can be imported here.") }
            return (imported.result.answers, imported.sentences)
        } catch { throw Refusal([error.what]) }
    }

    func compose(_ answers: Answers, takingOver: Bool) async throws(Refusal) -> ChangeSummary {
        let lines = try changes(answers, takingOver: takingOver).flatMap(\.lines)
        // Policies and chains are not rules, so they don't count.
        let isRule = { (line: String) in line.contains(backend == .nftables ? " counter " : " -A ") }
        let removed = lines.count { $0.hasPrefix("-") && isRule($0) }
        let added = lines.count { !$0.hasPrefix("-") && isRule($0) }
        let replaced =
            answers.existing == .keep && backend != .nftables
            ? live?.present.flatMap { RuleEdits.unowned(in: rest(of: $0.value, takingOver: takingOver)) } ?? [] : []
        return ChangeSummary(
            rulesRemoved: removed, rulesAdded: added, replacedRules: replaced.map(\.withoutCounters.text),
            notes: [
                ChangeRunner.note(of: retirement), takingOver ? ChangeRunner.note(of: takeOver) : nil,
                rehearsalRunner.flatMap { Observation($0.environment).current() }.map { _ in ObservationRunner.note },
            ].compactMap(\.self)
                + leftoverNotes(answers)
                + (live == nil ? ["The current rules could not be read, so all rules count as new."] : []),
            obstacle: obstacle)
    }

    /// What inactive firewall managers have left that the plan does not remove.
    private func leftoverNotes(_ answers: Answers) -> [String] {
        guard let rehearsalRunner, let live = rehearsalRunner.live else { return [] }
        return LeftoverRules(live, facts, backend: rehearsalRunner.backend).notes(answers.existing)
    }

    /// Why no plan can be applied here; nil if it can.
    private var obstacle: String? {
        if !isRoot { return "Changing the firewall requires root. Save your answers, then run: sudo latchkey" }
        if rehearsalRunner == nil {
            return
                "Neither iptables nor nft is installed. Install one: apt-get install nftables, or dnf install nftables."
        }
        return nil
    }

    func rehearse(_ answers: Answers, takingOver: Bool) async -> RehearsalReport {
        guard !skipsRehearsal else { return .skipped("--no-rehearsal was specified.") }
        guard let plan = try? planner.plan(answers), let rules = try? composed(plan) else {
            return .skipped("The plan could not be created.")
        }
        if var rehearsalRunner {
            rehearsalRunner.takeOver = takingOver ? takeOver : nil
            return await rehearsalRunner.report(plan, rules)
        }
        if let peer = caller.peer, let port = caller.peerPort, !plan.accepts(from: peer, transport: .tcp, port: port) {
            return .lockout(peer: "\(peer)", port: port)
        }
        return .skipped("Your answers allow a new login from your address, but this was not tested with packets.")
    }

    func rules(_ answers: Answers) async -> [String] {
        guard let plan = try? planner.plan(answers), let rules = try? composed(plan) else { return [] }
        return rules.texts.flatMap { heading, text in
            ["# \(heading)"] + text.split(separator: "\n").map { String($0.replacing("\t", with: "  ")) }
        }
    }

    func difference(_ answers: Answers, takingOver: Bool) async -> [String] {
        guard let changes = try? changes(answers, takingOver: takingOver) else { return [] }
        if live == nil { return ["# The current rules could not be read. \"rules\" shows the new rules."] }
        return changes.flatMap { change in
            ["# \(change.heading)"]
                + (change.lines.isEmpty ? ["# no changes"] : change.lines)
        }
    }

    func deadline(_ text: String) async throws(Refusal) -> Int {
        do { return try DeadlineOption(parsing: text).seconds } catch { throw Refusal([error.description]) }
    }

    func save(_ answers: Answers, to path: String?) async throws(Refusal) -> String {
        let path = path ?? "latchkey.yaml"
        guard !path.hasPrefix("~") else {
            throw Refusal(["\(path.quoted()) can't be saved: ~ is not supported here. Enter the full path."])
        }
        do {
            try Self.refuseToReplace(path)
            try SecureFiles.write(Array(AnswersFile.render(answers).utf8), to: path)
        } catch let error as HostError {
            throw Refusal(["\(path.quoted()) can't be saved: \(error.description)"])
        } catch let error as Refusal { throw error } catch { throw Refusal(["\(error)"]) }
        let plain = path.utf8.allSatisfy { Self.plainBytes.contains($0) }
        let word = plain ? path : "'\(path.replacing("'", with: "'\\''"))'"
        return "Your answers are saved in \(path). To use them, run: sudo latchkey --answers \(word)"
    }

    /// Characters that have no special meaning in a shell.
    private static let plainBytes = Set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%".utf8)

    /// Replaces only an answers file, so that a mistyped path does not overwrite another file.
    private static func refuseToReplace(_ path: String) throws {
        guard SecureFiles.exists(path) else { return }
        try SecureFiles.requirePlainFileIfAny(path)
        let bytes = try SecureFiles.read(path, limit: StrictYAML.sizeLimit)
        guard AnswersFile.isOne(bytes) else {
            throw Refusal(["\(path.quoted()) already exists and is not an answers file. Choose another name."])
        }
    }

    private func composed(_ plan: Plan) throws(Failure) -> ComposedRules {
        try planner.rules(plan, for: backend ?? .nft)
    }

    private struct FamilyChanges {
        let heading: String
        let lines: [String]
    }

    /// The rules that are left of a family's when the managers that are taken over have stopped.
    private func rest(of live: RuleSet, takingOver: Bool) -> RuleSet {
        guard takingOver, let takeOver else { return live }
        return live.withoutAllRules(of: Set(takeOver.managers.map(\.name)))
    }

    /// The changes in each address family whose rules can be read; with `takingOver`, the managers' rules go too.
    private func changes(_ answers: Answers, takingOver: Bool) throws(Refusal) -> [FamilyChanges] {
        let composed: ComposedRules
        do throws(Failure) { composed = try self.composed(try planner.plan(answers)) } catch {
            throw Refusal([error.what])
        }
        if let table = composed.table {
            let lines = NFTable.differences(from: liveTable, to: table)
            return [FamilyChanges(heading: "IPv4 and IPv6", lines: lines + (takingOver ? removedTables : []))]
        }
        let scope: ChangeScope = answers.existing == .keep ? .inputChain : .tables
        var changes = composed.rules.present.compactMap { family, plan -> FamilyChanges? in
            // A family that the kernel does not support has no changes. If no rules could be read, all rules are new.
            guard let live = live == nil ? RuleSet(tables: []) : live?[family] else { return nil }
            let after = RuleEdits.outcome(plan, scope: scope, live: rest(of: live, takingOver: takingOver))
            return FamilyChanges(heading: family.title, lines: RuleSet.differences(from: live, to: after))
        }
        if takingOver, !removedTables.isEmpty {
            changes.append(FamilyChanges(heading: "tables of nftables", lines: removedTables))
        }
        return changes
    }

    /// What goes with the tables of the managers that are taken over.
    private var removedTables: [String] {
        guard let takeOver, let live = rehearsalRunner?.live else { return [] }
        return live.tables(of: takeOver).flatMap { NFTable.differences(from: $0, to: nil) }
    }
}
