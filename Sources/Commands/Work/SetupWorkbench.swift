import Glibc
import Host
import Interview
import Netfilter
import Policy
import SafeApply

/// What the wizard has done for it while it asks: plans, the look at the present connection, files.
struct SetupWorkbench: Workbench {
    let planning: Planning
    let caller: Caller
    let live: PerFamily<RuleSet>?
    /// nil where nothing can be rehearsed because there is no iptables.
    let rehearsing: Rehearsing?
    let skipsRehearsal: Bool
    let isRoot: Bool

    func compose(_ answers: Answers) async throws(Refusal) -> ChangeSummary {
        let inputs = try self.inputs(answers)
        var removed = 0
        var added = 0
        // Policies and chains are not counted: they are no rules.
        for line in inputs.flatMap({ $0.changes }) where line.contains(" -A ") {
            if line.hasPrefix("-") { removed += 1 } else { added += 1 }
        }
        let replaced = answers.existing == .keep ? live?.present.flatMap { RuleEdits.unowned(in: $0.value) } ?? [] : []
        return ChangeSummary(
            rulesRemoved: removed, rulesAdded: added, replacedRules: replaced.map(\.withoutCounters.text),
            notes: notes(answers),
            obstacle: isRoot ? nil : "Changing the firewall needs root: save the answers, then sudo latchkey.")
    }

    func rehearse(_ answers: Answers) async -> RehearsalReport {
        guard !skipsRehearsal else { return .skipped("--no-rehearsal was given.") }
        guard let plan = try? planning.plan(answers), let rules = try? planning.rules(plan) else {
            return .skipped("The plan could not be made.")
        }
        if let rehearsing { return await rehearsing.report(plan, rules) }
        if let peer = caller.peer, let port = caller.peerPort, !plan.accepts(from: peer, transport: .tcp, port: port) {
            return .lockout(peer: "\(peer)", port: port)
        }
        return .skipped("The answers let your connection in anew; that was checked on paper, not with packets.")
    }

    func rules(_ answers: Answers) async -> [String] {
        guard let plan = try? planning.plan(answers), let rules = try? planning.rules(plan) else { return [] }
        return rules.present.flatMap { family, set in
            [family == .ipv4 ? "# IPv4" : "# IPv6"] + set.text.split(separator: "\n").map { String($0) }
        }
    }

    func difference(_ answers: Answers) async -> [String] {
        guard let inputs = try? inputs(answers) else { return [] }
        return inputs.flatMap { input in
            [input.family == .ipv4 ? "# IPv4" : "# IPv6"]
                + (input.changes.isEmpty ? ["# nothing changes"] : input.changes)
        }
    }

    func save(_ answers: Answers, to path: String?) async throws(Refusal) -> String {
        let path = path ?? "latchkey.yaml"
        do {
            try SecureFiles.write(Array(AnswersFile.render(answers).utf8), to: path)
        } catch { throw Refusal([error.description]) }
        return "The answers are saved in \(path). Use them with: sudo latchkey --answers \(path)"
    }

    /// What goes past the plan; of listeners and peers the review's table tells.
    private func notes(_ answers: Answers) -> [String] {
        guard answers.existing == .keep, let plan = try? planning.plan(answers) else { return [] }
        let life = PresentLife(live: live)
        return plan.effects(on: [], published: life.published).publishedSentences
    }

    private struct Input {
        let family: Family
        let changes: [String]
    }

    /// What would change in each family that can be looked at.
    private func inputs(_ answers: Answers) throws(Refusal) -> [Input] {
        let rules: PerFamily<RuleSet>
        do { rules = try planning.rules(try planning.plan(answers)) } catch { throw Refusal([error.what]) }
        return (live ?? PerFamily()).present.compactMap { family, live in
            rules[family].map { plan in
                let scope: ChangeScope = answers.existing == .keep ? .inputChain : .tables
                let after = RuleEdits.outcome(plan, scope: scope, live: live)
                return Input(family: family, changes: RuleSet.differences(from: live, to: after))
            }
        }
    }
}
