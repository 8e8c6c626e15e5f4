import Netfilter
import Policy

/// The question "Keep or replace the existing rules?".
struct ExistingQuestion: QuestionScript {
    func title(_ context: QuestionContext) -> String { "Keep or replace the existing rules?" }

    func remark(_ context: QuestionContext) -> String {
        context.discovery.rulesNow.map { $0 == 1 ? "1 rule" : "\($0) rules" } ?? ""
    }

    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        let discovery = context.discovery
        let chains = discovery.otherChains.map(\.shown)
        let others =
            switch chains.count {
            case 0: "other programs' chains"
            case 1: "the chain \(chains[0])"
            default: "the chains \(chains.listed())"
            }
        let unowned = discovery.unownedInputRules.count
        var keep = "leaves \(others) unchanged"
        if unowned > 0 {
            let belongs = unowned == 1 ? "rule that belongs" : "rules that belong"
            keep += "; removes \(unowned) INPUT \(belongs) to no known program"
        }
        let whose = chains.isEmpty ? "of all programs" : "including \(chains.listed())"
        var replace = "removes all rules and chains in the tables filter and nat, \(whose)"
        if discovery.docker == true { replace += "; Docker containers have no network until Docker restarts" }
        return screen.definitions([("keep", keep), ("replace", replace)])
    }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            Docker, fail2ban, VPNs and other programs add their own rules in their own chains. A chain is a list of \
            rules that a packet passes through. "keep" changes only the chain for incoming packets (INPUT). Jumps \
            from INPUT to other programs' chains stay, before the new rules. "replace" empties the tables filter \
            and nat first, so that only the new rules remain. Use it if no other program manages the firewall of \
            this server. In both cases, the current rules are saved first, and latchkey rolls back to them unless \
            you keep the new rules.
            """)
            + screen.examples(["keep", "replace"])
    }

    func proposal(_ context: QuestionContext) -> String { "keep" }

    func render(_ answers: Answers) -> String { answers.existing.rawValue }

    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers {
        guard let word = line.onlyWord, let choice = ExistingRules(rawValue: word) else {
            let shown = line.words.joined(separator: " ").quoted()
            throw AnswerMistake(line.words.joined(separator: " "), "\(shown) is not valid. Use keep or replace.")
        }
        var answers = context.answers
        answers.existing = choice
        return answers
    }

    func completions(_ context: QuestionContext) -> [String] { ["keep", "replace"] }

    func warnings(_ context: QuestionContext) -> [String] {
        guard context.answers.existing == .replace else { return [] }
        var warnings: [String] = []
        let managers = Set(context.discovery.managers.map(\.name))
        let firewalls = context.discovery.otherFirewalls.filter { !managers.contains($0) }.map(\.shown)
        if !firewalls.isEmpty {
            let (own, it) = firewalls.count == 1 ? ("its", "it") : ("their", "them")
            warnings.append("\(firewalls.listed()) will load \(own) own rules again at boot. Disable \(it).")
        }
        return warnings
    }
}
