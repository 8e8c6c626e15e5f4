import Netfilter
import Policy

/// The answers of an unfinished session.
package struct Draft: Equatable, Sendable {
    /// The answers.
    ///
    /// Questions that were not asked have their proposed answers.
    package var answers: Answers
    /// The questions that were answered.
    package var answered: Set<Question>
    /// The date and time as text; nil if unknown.
    package var moment: String?

    /// Creates a draft.
    package init(answers: Answers, answered: Set<Question>, moment: String? = nil) {
        self.answers = answers
        self.answered = answered
        self.moment = moment
    }
}

extension Wizard {
    /// The answers to save in case the connection drops; nil before the first answer.
    package var draft: Draft? {
        if case .offeringDraft = stage { return nil }
        if case .offeringTakeOver = stage { return nil }
        return context.answered.isEmpty ? nil : Draft(answers: context.answers, answered: context.answered)
    }

    /// The lines that show the draft.
    func draftLines(_ draft: Draft) -> [Line] {
        var draftContext = context
        draftContext.answers = draft.answers
        draftContext.answered = draft.answered
        let moment = draft.moment.map { " (\($0))" } ?? ""
        return screen.paragraph("Your answers from last time, not in effect\(moment):", indent: 0, tone: .heading)
            + overview(draftContext) + [.blank]
    }

    /// The line that asks whether to resume.
    var draftRequest: LineRequest {
        LineRequest(
            prompt: "\(String(repeating: " ", count: screen.margin))resume / start over [resume] > ",
            completions: ["resume", "start over", "quit"], history: "draft")
    }

    /// Handles the answer to whether to resume.
    mutating func draftInput(_ line: String, _ draft: Draft) -> Turn {
        let typed = AnswerLine.editable(line).trimmed
        switch typed.lowercased() {
        case "", "resume", "yes", "y", "continue", "go on":
            context.answers = draft.answers
            context.answered = draft.answered.intersection(questions)
            guard let next = questions.first(where: { !context.answered.contains($0) }) else {
                stage = .composing
                return Turn([.blank], request: .compose)
            }
            return Turn([.blank] + ask(next, fromReview: false))
        case "start over", "start", "over", "no", "n", "anew":
            return Turn([.blank] + ask(questions[0], fromReview: false))
        case "quit", "q", "exit":
            return leave()
        case "?", "help", "show":
            return Turn(
                draftLines(draft)
                    + screen.paragraph(
                        """
                        "resume" uses these answers and asks the remaining questions. Nothing is applied before \
                        you have reviewed it. "start over" asks all questions again.
                        """))
        default:
            let shown = typed.quoted()
            return Turn(
                screen.paragraph(
                    "\(shown) is not valid. Use resume, start over or quit. Type ? for help.", tone: .mistake))
        }
    }
}
