import Netfilter
import Policy

/// The answers of a session that did not come to its end.
package struct Draft: Equatable, Sendable {
    /// The answers, those that were not asked for as they were proposed.
    package var answers: Answers
    /// The questions that were answered.
    package var answered: Set<Question>
    /// When that was, in words; nil where it is not known.
    package var moment: String?

    /// Makes a draft.
    package init(answers: Answers, answered: Set<Question>, moment: String? = nil) {
        self.answers = answers
        self.answered = answered
        self.moment = moment
    }
}

extension Wizard {
    /// What is to be kept of this session, in case its line drops; nil before the first answer.
    package var draft: Draft? {
        if case .recalling = stage { return nil }
        return context.answered.isEmpty ? nil : Draft(answers: context.answers, answered: context.answered)
    }

    /// Tells of the draft, and asks whether to go on from it.
    func recall(_ draft: Draft) -> [Line] {
        var recalled = context
        recalled.answers = draft.answers
        recalled.answered = draft.answered
        let moment = draft.moment.map { " (\($0))" } ?? ""
        return screen.paragraph("Your answers from last time, not kept\(moment):", indent: 0, tone: .heading)
            + overview(recalled) + [.blank]
    }

    var recallRequest: LineRequest {
        LineRequest(
            prompt: "\(String(repeating: " ", count: screen.margin))go on / anew [go on] > ",
            completions: ["go on", "anew", "quit"], history: "draft")
    }

    /// Takes the answer to whether to go on from the draft.
    mutating func recallInput(_ line: String, _ draft: Draft) -> Turn {
        let typed = AnswerLine.editable(line).trimmed
        switch typed.lowercased() {
        case "", "go on", "go", "on", "yes", "y", "continue":
            context.answers = draft.answers
            context.answered = draft.answered.intersection(questions)
            guard let next = questions.first(where: { !context.answered.contains($0) }) else {
                stage = .composing
                return Turn([.blank], request: .compose)
            }
            return Turn([.blank] + ask(next, fromReview: false))
        case "anew", "no", "n", "new", "start anew":
            return Turn([.blank] + ask(questions[0], fromReview: false))
        case "quit", "q", "exit":
            return leave()
        case "?", "help", "show":
            return Turn(
                recall(draft)
                    + screen.paragraph(
                        """
                        "go on" takes these and asks what is left; nothing is in force before you have seen it all. \
                        "anew" asks everything again.
                        """))
        default:
            let shown = typed.quoted()
            return Turn(screen.paragraph("\(shown) is none of: go on, anew, quit. ? explains them.", tone: .mistake))
        }
    }
}
