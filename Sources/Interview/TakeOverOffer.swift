import Netfilter
import Policy

/// Another firewall manager that a change can take over.
package struct FoundManager: Equatable, Sendable {
    /// Its name.
    package let name: String
    /// What it is and does, in whole sentences.
    package let sentences: String
    /// Whether its rules can be imported as answers.
    package let canImport: Bool

    /// A manager.
    package init(_ name: String, sentences: String, canImport: Bool = false) {
        self.name = name
        self.sentences = sentences
        self.canImport = canImport
    }
}

/// What of the existing rules belongs to the firewall managers.
package struct ManagerRules: Equatable, Sendable {
    /// The names of their chains.
    package let chains: [String]
    /// The rules in INPUT that belong to no known program.
    package let inputRules: [String]

    /// Rules.
    package init(chains: [String], inputRules: [String]) {
        self.chains = chains
        self.inputRules = inputRules
    }
}

extension Discovery {
    /// Leaves out what goes when a change takes over: the other questions are about what is left.
    mutating func takeOver() {
        guard let rules = managerRules else { return }
        otherChains.removeAll { rules.chains.contains($0) }
        unownedInputRules.removeAll { rules.inputRules.contains($0) }
        managerRules = nil
    }
}

/// The question about another firewall manager, ahead of all others.
extension Wizard {
    /// The names of the managers, for a sentence.
    private var managerNames: String { context.discovery.managers.map(\.name.shown).listed() }

    private var canImport: Bool { context.discovery.managers.contains(where: \.canImport) }

    /// The lines that show the choices.
    var takeOverLines: [Line] {
        let sentences = context.discovery.managers.map(\.sentences).joined(separator: " ")
        var choices = [
            ("take over", "latchkey replaces \(managerNames). Nothing of it is stopped before you keep the new rules"),
            ("leave", "quit, and leave the firewall to \(managerNames)"),
        ]
        if canImport { choices.insert(("import", "the same, with what \(managerNames) allows now as defaults"), at: 1) }
        return screen.paragraph(
            "\(sentences) Only one program can manage this firewall.", indent: 0, tone: .warning)
            + screen.definitions(choices) + [.blank]
    }

    /// The line that asks for the choice.
    var takeOverRequest: LineRequest {
        let words = ["take over"] + (canImport ? ["import"] : []) + ["leave"]
        return LineRequest(
            prompt: "\(String(repeating: " ", count: screen.margin))\(words.joined(separator: " / ")) [leave] > ",
            completions: words + ["quit"], history: "take over")
    }

    /// Handles the choice.
    mutating func takeOverInput(_ line: String) -> Turn {
        let typed = AnswerLine.editable(line).trimmed
        switch typed.lowercased() {
        case "take over", "takeover", "take":
            takesOver = true
            return afterTakeOver()
        case "import" where canImport, "import and take over" where canImport:
            takesOver = true
            return Turn([], request: .importAnswers)
        case "", "leave", "quit", "q", "exit":
            return leave()
        case "?", "help":
            return Turn(
                takeOverLines
                    + screen.paragraph(
                        """
                        Two programs that both manage a firewall undo each other's rules: after a restart, or when one of \
                        them reloads, you could be locked out or the server could be open. If latchkey takes over, its \
                        rules go on top for a trial, and \(managerNames) stays loaded beneath. If you keep them, \
                        \(managerNames) is disabled and stopped, and latchkey checks that its own rules are complete. \
                        If you don't keep them, or your connection drops, everything is as it was.
                        """))
        default:
            let choices = canImport ? "take over, import or leave" : "take over or leave"
            return Turn(
                screen.paragraph(
                    "\(typed.quoted()) is not valid. Use \(choices). Type ? for help.", tone: .mistake))
        }
    }

    /// Uses answers that stand for what the manager allows as defaults.
    package mutating func imported(_ answers: Answers, notes: [String]) -> Turn {
        context.answers = answers
        context.hasProposals = true
        return Turn(notes.flatMap { screen.paragraph($0) }).followed(by: afterTakeOver())
    }

    /// Goes on after the choice: the answers of an unfinished session, or the first question.
    private mutating func afterTakeOver() -> Turn {
        context.discovery.takeOver()
        guard let draft = waitingDraft, !context.hasProposals else {
            return Turn([.blank] + ask(questions[0], fromReview: false))
        }
        stage = .offeringDraft(draft)
        return Turn([.blank] + draftLines(draft))
    }
}
