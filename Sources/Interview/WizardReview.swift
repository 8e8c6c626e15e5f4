import Netfilter
import Policy

extension Wizard {
    /// Takes what the plan would change: shows the review.
    package mutating func composed(_ summary: ChangeSummary) -> Turn {
        self.summary = summary
        return Turn(reviewLines + [.blank], request: .rehearse)
    }

    /// Takes what came of the rehearsal: the review's commands come next.
    package mutating func rehearsed(_ report: RehearsalReport) -> Turn {
        rehearsal = report
        stage = .reviewing
        return Turn(
            RehearsalText(report: report, questions: questions, screen: screen).lines + [.blank] + promise
                + (offersApply ? [.blank] : []))
    }

    /// Takes the reasons why no plan could be made of the answers; they can be edited.
    package mutating func refused(_ reasons: [String]) -> Turn {
        summary = nil
        rehearsal = nil
        stage = .reviewing
        return Turn(reasons.flatMap { screen.paragraph($0, indent: 2, hanging: 4, tone: .mistake) } + [.blank])
    }

    /// What is said while the packets run.
    package var rehearsing: [Line] {
        screen.paragraph("Rehearsing with real packets in a copy of this machine's network ...", indent: 0)
    }

    /// Whether the plan may be applied as it stands.
    package var offersApply: Bool {
        guard let summary, let rehearsal else { return false }
        return summary.obstacle == nil && rehearsal.permitsApply
    }

    /// What will happen when the line drops, said before it can.
    private var promise: [Line] {
        guard offersApply else { return [] }
        let trial = screen.paragraph(
            "The old rules return after \(deadline) s unless you keep the new ones (\"deadline 5m\").",
            indent: 2,
            hanging: 4)
        guard mode == .setup else { return trial }
        return trial
            + screen.paragraph(
                "If your line drops, the same happens: log in again, type \"sudo latchkey\".", indent: 2,
                hanging: 4)
    }

    /// Takes how long the new rules shall wait to be kept.
    package mutating func setDeadline(_ seconds: Int) -> Turn {
        deadline = seconds
        return Turn(
            screen.paragraph("The old rules return after \(seconds) s, unless you keep the new ones.", indent: 2))
    }

    private var reviewLines: [Line] {
        guard let summary else { return [] }
        return Review(context: context, summary: summary, screen: screen).lines
    }

    /// What Enter does at the review.
    private var reviewDefault: String {
        if offersApply { return "apply" }
        if let question = rehearsal?.question, let index = questions.firstIndex(of: question) {
            return "edit \(index + 1)"
        }
        return "show"
    }

    private var reviewCommands: [String] {
        (offersApply ? ["apply"] : []) + ["edit 1-\(questions.count)"]
            + (summary == nil ? [] : ["rules", "diff"]) + (offersApply ? ["deadline"] : []) + ["save", "quit"]
    }

    var reviewRequest: LineRequest {
        let commands = screen.isWide ? reviewCommands.joined(separator: " / ") + " " : "edit 1-\(questions.count) / ? "
        var words = questions.indices.map { "edit \($0 + 1)" } + ["show", "rules", "diff", "deadline", "save", "quit"]
        if offersApply { words.insert("apply", at: 0) }
        return LineRequest(
            prompt: "\(commands)[\(reviewDefault)] > ", completions: words, history: "review")
    }

    mutating func reviewInput(_ line: String) -> Turn {
        let typed = AnswerLine.editable(line).trimmed
        let words = (typed.isEmpty ? reviewDefault : typed).split(separator: " ").map(String.init)
        let command = words.first?.lowercased() ?? ""
        if words.count == 1 {
            switch command {
            case "?", "help": return Turn(reviewHelp)
            case "show": return Turn(summary == nil ? overview : reviewLines)
            case "rules" where summary != nil: return Turn([], request: .rules)
            case "diff" where summary != nil: return Turn([], request: .diff)
            case "save": return Turn([], request: .save(nil))
            case "deadline":
                return Turn(
                    screen.paragraph(
                        "The old rules return after \(deadline) s. To change that: deadline 5m (10s to 1h)", indent: 2))
            case "quit", "q", "exit": return leave()
            case "back": return Turn([.blank] + ask(questions[questions.count - 1], fromReview: true))
            case "apply", "a": return apply()
            default: break
            }
        }
        if command == "deadline", words.count == 2 { return Turn([], request: .deadline(words[1])) }
        if command == "save", words.count > 1 {
            return Turn([], request: .save(String(typed.drop { $0 != " " }).trimmed))
        }
        if let question = edited(words) { return Turn([.blank] + ask(question, fromReview: true)) }
        let shown = typed.quoted()
        return Turn(
            screen.paragraph(
                "\(shown) is none of: \((reviewCommands + ["show"]).joined(separator: ", ")). ? explains them.",
                indent: 2,
                tone: .mistake))
    }

    private mutating func apply() -> Turn {
        guard offersApply else {
            let reason = summary?.obstacle ?? "This plan cannot be applied: edit the answer named above."
            return Turn(screen.paragraph(reason, indent: 2, hanging: 4, tone: .mistake))
        }
        stage = .finished(.apply)
        return Turn([], request: .apply)
    }

    /// The question that "edit 3", "3" or "edit services" names.
    private func edited(_ words: [String]) -> Question? {
        var words = words.map { $0.lowercased() }
        if words.first == "edit" || words.first == "e" { words.removeFirst() }
        guard words.count == 1, let word = words.first else { return nil }
        if let number = Int(word), questions.indices.contains(number - 1) { return questions[number - 1] }
        return questions.first { $0.rawValue == word }
    }

    private var reviewHelp: [Line] {
        screen.definitions(
            [
                ("apply", "puts the rules in force for \(deadline) s; unless you keep them then, the old ones return"),
                ("edit 3", "asks question 3 again; the number or the name alone will do"),
                ("rules", "shows the rules as the kernel gets them"),
                ("diff", "shows what goes and what comes"),
                ("deadline", "gives you more or less time to keep them, as in: deadline 5m"),
                ("show", "shows the review again"),
                ("save", "saves your answers to a file, as in: save answers.yaml"),
                ("quit", "leaves; nothing was changed"),
            ], indent: 2)
    }
}
