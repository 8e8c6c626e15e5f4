import Netfilter
import Policy

/// The question "Keep or replace the rules that are there?".
struct ExistingQuestion: QuestionScript {
    func title(_ context: QuestionContext) -> String { "What about the rules that are here now?" }

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
        var keep = "\(others) \(chains.count == 1 ? "and its" : "and their") rules stay as they are"
        if unowned > 0 {
            let verbs = unowned == 1 ? ("belongs", "goes") : ("belong", "go")
            keep += "; \(unowned) in INPUT \(verbs.0) to nobody and \(verbs.1)"
        }
        let whose = chains.isEmpty ? "whoever made them" : "\(chains.listed()) too"
        var replace = "all rules and chains of filter and nat go, \(whose)"
        if discovery.docker == true { replace += "; Docker's containers lose their network until Docker restarts" }
        return screen.definitions([("keep", keep), ("replace", replace)])
    }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            Docker, fail2ban, VPNs and others keep rules of their own in chains of their own, which are lists that \
            a packet is sent through. "keep" changes only the list for what comes in (INPUT): jumps from it into \
            others' chains stay, ahead of the new rules. "replace" empties the tables filter and nat first, so \
            that nothing but the new rules is left: right for a server that nobody else's programs protect. Either \
            way the present rules are saved before, and come back unless you keep the new ones.
            """)
            + screen.examples(["keep", "replace"])
    }

    func proposal(_ context: QuestionContext) -> String { "keep" }

    func render(_ answers: Answers) -> String { answers.existing.rawValue }

    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers {
        guard let word = line.onlyWord, let choice = ExistingRules(rawValue: word) else {
            let shown = line.words.joined(separator: " ").quoted()
            throw AnswerMistake(line.words.joined(separator: " "), "\(shown) is none of: keep, replace.")
        }
        var answers = context.answers
        answers.existing = choice
        return answers
    }

    func completions(_ context: QuestionContext) -> [String] { ["keep", "replace"] }

    func warnings(_ context: QuestionContext) -> [String] {
        guard context.answers.existing == .replace else { return [] }
        var warnings: [String] = []
        let firewalls = context.discovery.otherFirewalls.map(\.shown)
        if !firewalls.isEmpty {
            let (own, it) = firewalls.count == 1 ? ("its own", "it") : ("their own", "them")
            warnings.append("\(firewalls.listed()) will bring \(own) rules back at the next start: switch \(it) off.")
        }
        return warnings
    }
}
