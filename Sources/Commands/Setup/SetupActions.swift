import Glibc
import Host
import Interview
import Netfilter
import Policy
import SafeApply

/// What the wizard has done for it while it asks: plans, the look at the present connection, files.
struct SetupActions: WizardActions {
    let planner: Planner
    let facts: FactSource
    let caller: Caller
    let live: PerFamily<RuleSet>?
    /// nil where nothing can be rehearsed because there is no iptables.
    let rehearsalRunner: RehearsalRunner?
    let skipsRehearsal: Bool
    let isRoot: Bool

    func compose(_ answers: Answers) async throws(Refusal) -> ChangeSummary {
        let changes = try self.inputs(answers).flatMap(\.changes)
        // Policies and chains are not counted: they are no rules.
        let removed = changes.count { $0.hasPrefix("-") && $0.contains(" -A ") }
        let added = changes.count { !$0.hasPrefix("-") && $0.contains(" -A ") }
        let replaced = answers.existing == .keep ? live?.present.flatMap { RuleEdits.unowned(in: $0.value) } ?? [] : []
        return ChangeSummary(
            rulesRemoved: removed, rulesAdded: added, replacedRules: replaced.map(\.withoutCounters.text),
            notes: (live == nil ? ["The rules that are here now could not be read: all of these count as new."] : [])
                + notes(answers),
            obstacle: obstacle)
    }

    /// Why nothing can be applied here, whatever the answers.
    private var obstacle: String? {
        if !isRoot { return "Changing the firewall needs root: save the answers, then sudo latchkey." }
        if rehearsalRunner == nil {
            return "iptables is missing here: apt-get install iptables (Debian), or dnf install iptables-nft."
        }
        return nil
    }

    func rehearse(_ answers: Answers) async -> RehearsalReport {
        guard !skipsRehearsal else { return .skipped("--no-rehearsal was given.") }
        guard let plan = try? planner.plan(answers), let rules = try? planner.rules(plan) else {
            return .skipped("The plan could not be made.")
        }
        if let rehearsalRunner { return await rehearsalRunner.report(plan, rules) }
        if let peer = caller.peer, let port = caller.peerPort, !plan.accepts(from: peer, transport: .tcp, port: port) {
            return .lockout(peer: "\(peer)", port: port)
        }
        return .skipped("The answers let your connection in anew; that was checked on paper, not with packets.")
    }

    func rules(_ answers: Answers) async -> [String] {
        guard let plan = try? planner.plan(answers), let rules = try? planner.rules(plan).rules else { return [] }
        return rules.present.flatMap { family, set in
            [family == .ipv4 ? "# IPv4" : "# IPv6"] + set.text.split(separator: "\n").map { String($0) }
        }
    }

    func difference(_ answers: Answers) async -> [String] {
        guard let inputs = try? inputs(answers) else { return [] }
        if live == nil { return ["# The rules that are here now could not be read; \"rules\" shows the new ones."] }
        return inputs.flatMap { input in
            [input.family == .ipv4 ? "# IPv4" : "# IPv6"]
                + (input.changes.isEmpty ? ["# nothing changes"] : input.changes)
        }
    }

    func deadline(_ text: String) async throws(Refusal) -> Int {
        do { return try DeadlineOption(parsing: text).seconds } catch { throw Refusal([error.description]) }
    }

    func save(_ answers: Answers, to path: String?) async throws(Refusal) -> String {
        let path = path ?? "latchkey.yaml"
        guard !path.hasPrefix("~") else {
            throw Refusal(["\(path.quoted()) cannot be saved: only a shell knows what ~ is. Write the path out."])
        }
        do {
            try Self.refuseToReplace(path)
            try SecureFiles.write(Array(AnswersFile.render(answers).utf8), to: path)
        } catch let error as HostError {
            throw Refusal(["\(path.quoted()) cannot be saved: \(error.description)"])
        } catch let error as Refusal { throw error } catch { throw Refusal(["\(error)"]) }
        let plain = path.utf8.allSatisfy { Self.plainBytes.contains($0) }
        let word = plain ? path : "'\(path.replacing("'", with: "'\\''"))'"
        return "The answers are saved in \(path). Use them with: sudo latchkey --answers \(word)"
    }

    /// What means nothing to a shell.
    private static let plainBytes = Set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%".utf8)

    /// Only another answers file is replaced; a person who mistypes a path as root loses nothing.
    private static func refuseToReplace(_ path: String) throws {
        guard SecureFiles.exists(path) else { return }
        try SecureFiles.requirePlainFileIfAny(path)
        let bytes = try SecureFiles.read(path, limit: StrictYAML.sizeLimit)
        guard AnswersFile.isOne(bytes) else {
            throw Refusal(["\(path.quoted()) is there already and holds no answers: choose another name."])
        }
    }

    /// What goes past the plan; of listeners and peers the review's table tells.
    private func notes(_ answers: Answers) -> [String] {
        guard answers.existing == .keep, let plan = try? planner.plan(answers) else { return [] }
        let services = RunningServices(live: live, facts)
        return plan.effects(on: [], published: services.published).publishedSentences
    }

    private struct Input {
        let family: Family
        let changes: [String]
    }

    /// What would change in each family that can be looked at.
    private func inputs(_ answers: Answers) throws(Refusal) -> [Input] {
        let rules: PerFamily<RuleSet>
        do { rules = try planner.rules(try planner.plan(answers)).rules } catch { throw Refusal([error.what]) }
        let scope: ChangeScope = answers.existing == .keep ? .inputChain : .tables
        return rules.present.compactMap { family, plan in
            // A family that the kernel lacks changes nothing; where none could be read, all is new.
            guard let live = live == nil ? RuleSet(tables: []) : live?[family] else { return nil }
            let after = RuleEdits.outcome(plan, scope: scope, live: live)
            return Input(family: family, changes: RuleSet.differences(from: live, to: after))
        }
    }
}
