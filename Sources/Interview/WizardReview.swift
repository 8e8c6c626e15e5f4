import Netfilter
import Policy

extension Wizard {
    /// Shows the review for the changes that the plan would make.
    package mutating func composed(_ summary: ChangeSummary) -> Turn {
        self.summary = summary
        return Turn(reviewLines + [.blank], request: .rehearse)
    }

    /// Shows the result of the rehearsal.
    ///
    /// The review's commands come next.
    package mutating func rehearsed(_ report: RehearsalReport) -> Turn {
        rehearsal = report
        stage = .reviewing
        return Turn(
            RehearsalText(report: report, questions: questions, screen: screen).lines + [.blank] + rollbackNotice
                + (offersApply ? [.blank] : []))
    }

    /// Shows why no plan could be created from the answers.
    ///
    /// The user can edit the answers.
    package mutating func refused(_ reasons: [String]) -> Turn {
        summary = nil
        rehearsal = nil
        stage = .reviewing
        return Turn(reasons.flatMap { screen.paragraph($0, indent: 2, hanging: 4, tone: .mistake) } + [.blank])
    }

    /// The line to show during the rehearsal.
    package var rehearsing: [Line] {
        screen.paragraph("Rehearsing with real packets in a copy of this machine's network ...", indent: 0)
    }

    /// Whether the plan may be applied.
    package var offersApply: Bool {
        guard let summary, let rehearsal else { return false }
        return summary.obstacle == nil && rehearsal.permitsApply
    }

    /// What happens after the deadline or if the connection drops, shown before the change starts.
    private var rollbackNotice: [Line] {
        guard offersApply else { return [] }
        let afterDeadline = screen.paragraph(
            "New rules roll back after \(deadline) s unless you keep them (to change: deadline 5m).",
            indent: 2,
            hanging: 4)
        guard mode == .setup else { return afterDeadline }
        return afterDeadline
            + screen.paragraph(
                "They also roll back if your connection drops. To keep them, log in again and run "
                    + "\"sudo latchkey\".", indent: 2,
                hanging: 4)
    }

    /// Sets the time that the user has to keep the new rules.
    package mutating func setDeadline(_ seconds: Int) -> Turn {
        deadline = seconds
        return Turn(
            screen.paragraph("The new rules will roll back after \(seconds) s unless you keep them.", indent: 2))
    }

    private var reviewLines: [Line] {
        guard let summary else { return [] }
        return Review(context: context, summary: summary, screen: screen).lines
    }

    /// The command that Enter runs at the review.
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
                        "The new rules roll back after \(deadline) s unless you keep them. To change this, type "
                            + "\"deadline 5m\" (10s to 1h).", indent: 2))
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
                "\(shown) is not a command. Commands: \((reviewCommands + ["show"]).joined(separator: ", ")). Type ? for help.",
                indent: 2,
                tone: .mistake))
    }

    private mutating func apply() -> Turn {
        guard offersApply else {
            let reason = summary?.obstacle ?? "These rules can't be applied. Edit the answer named above."
            return Turn(screen.paragraph(reason, indent: 2, hanging: 4, tone: .mistake))
        }
        stage = .finished(.apply)
        return Turn([], request: .apply)
    }

    /// The question that "edit 3", "3" or "edit services" refers to.
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
                ("apply", "activates the rules; they roll back after \(deadline) s unless you keep them"),
                ("edit 3", "asks question 3 again; \"3\" or the question's name is enough"),
                ("rules", "lists the new rules, as iptables-save or nft prints them"),
                ("diff", "shows the rules that are removed and added"),
                ("deadline", "sets how long you have to keep the rules, for example: deadline 5m"),
                ("show", "shows the review again"),
                ("save", "saves your answers to a file, for example: save answers.yaml"),
                ("quit", "quits without changing anything"),
            ], indent: 2)
    }
}
