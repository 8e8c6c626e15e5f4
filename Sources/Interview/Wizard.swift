import Netfilter
import Policy

/// The wizard as a state machine: a typed line goes in, lines for the screen and at most one request come out.
///
/// It knows no terminal, no clock and no machine; ``Conversation`` drives it.
package struct Wizard: Sendable {
    /// Whether the machine itself is set up, or a throwaway copy of its network.
    package enum Mode: CaseIterable, Equatable, Sendable {
        case setup
        case trial
    }

    /// Where in the conversation the wizard is.
    package enum Stage: Equatable, Sendable {
        /// The answers of an earlier session are there; whether to go on from them is asked.
        case recalling(Draft)
        /// A question stands; after an edit from the review the next stop is the review again.
        case asking(Question, fromReview: Bool)
        /// The plan is being made from the answers, and rehearsed.
        case composing
        /// The review stands.
        case reviewing
        /// Nothing more is asked.
        case finished(Ending)
    }

    /// How the conversation ended.
    package enum Ending: Equatable, Sendable {
        case apply
        case quit
    }

    /// What the program around the wizard is to do next.
    package enum Request: Equatable, Sendable {
        /// Make the plan from the answers and say what changes: ``Wizard/composed(_:)``.
        case compose
        /// Try the plan with packets: ``Wizard/rehearsed(_:)``.
        case rehearse
        /// Show the plan's rules.
        case rules
        /// Show the difference between the rules that are there and the plan's.
        case diff
        /// Save the answers, to this file if one was named.
        case save(String?)
        /// Read how long the new rules shall wait to be kept: ``Wizard/setDeadline(_:)``.
        case deadline(String)
        /// Begin the change.
        case apply
        /// Leave; nothing was changed.
        case quit
    }

    /// What one step brings about.
    package struct Turn: Equatable, Sendable {
        /// The lines to show.
        package var lines: [Line]
        /// What to do then, if anything.
        package var request: Request?

        init(_ lines: [Line], request: Request? = nil) {
            self.lines = lines
            self.request = request
        }
    }

    /// Where in the conversation the wizard is.
    package internal(set) var stage: Stage
    /// The screen's width now; to be set again when the window changes.
    package var screen: Screen
    /// The questions that are asked here, in their order.
    package let questions: [Question]
    /// Whether the machine itself is set up.
    package let mode: Mode

    var context: QuestionContext
    /// The line given back after a mistake; nil where the question stands for the first time.
    var returned: String?
    private var shownWarnings: [Question: Set<String>] = [:]
    /// How long the new rules wait to be kept, in seconds.
    package internal(set) var deadline: Int
    var summary: ChangeSummary?
    var rehearsal: RehearsalReport?

    /// Makes a wizard; `proposals` are the answers of an earlier run or an answers file, to be taken with Enter, and
    /// `draft` those of a session that was broken off.
    package init(
        discovery: Discovery, catalog: TemplateCatalog, proposals: Answers? = nil, draft: Draft? = nil,
        deadline: Int = 60, mode: Mode = .setup, screen: Screen = Screen()
    ) {
        questions = Question.asked(discovery)
        context = QuestionContext(
            discovery: discovery, catalog: catalog, answers: proposals ?? Answers(), answered: [],
            hasProposals: proposals != nil)
        self.deadline = deadline
        self.mode = mode
        self.screen = screen
        stage = draft.map { .recalling($0) } ?? .asking(.admins, fromReview: false)
    }

    /// The answers so far; complete once the review stands.
    package var answers: Answers { context.answers }

    // MARK: - Steps

    /// The start screen and the first question.
    package mutating func begin() -> Turn {
        let start = StartScreen(discovery: context.discovery, mode: mode, screen: screen).lines
        if case .recalling(let draft) = stage { return Turn(start + recall(draft)) }
        return Turn(start + ask(.admins, fromReview: false))
    }

    /// What is to be asked for now.
    package var request: LineRequest {
        switch stage {
        case .recalling: recallRequest
        case .asking(let question, _): questionRequest(question)
        case .composing, .reviewing, .finished: reviewRequest
        }
    }

    /// Takes the line that was typed.
    package mutating func input(_ line: String) -> Turn {
        switch stage {
        case .recalling(let draft): recallInput(line, draft)
        case .asking(let question, let fromReview): answer(question, line, fromReview: fromReview)
        case .reviewing: reviewInput(line)
        case .composing, .finished: Turn([])
        }
    }

    /// Leaves, because no more input comes or the person pressed Ctrl-C.
    package mutating func leave() -> Turn {
        stage = .finished(.quit)
        return Turn(screen.paragraph("Nothing was changed.", indent: 0), request: .quit)
    }

    // MARK: - Questions

    mutating func ask(_ question: Question, fromReview: Bool) -> [Line] {
        stage = .asking(question, fromReview: fromReview)
        returned = nil
        let number = (questions.firstIndex(of: question) ?? 0) + 1
        let title = "\(number)/\(questions.count)  \(question.title(context))"
        return screen.headline(title, remark: question.script.remark(context))
            + question.script.introduction(context, screen)
    }

    private func questionRequest(_ question: Question) -> LineRequest {
        let margin = String(repeating: " ", count: screen.margin)
        var proposal = " [\(question.defaultAnswer(context))]"
        if returned != nil {
            proposal = ""
        } else if proposal.count > screen.columns / 2 {
            proposal = proposal.prefix(screen.columns / 2 - 4).split(separator: " ").joined(separator: " ") + " ...]"
            proposal = " " + proposal
        }
        return LineRequest(
            prompt: "\(margin)\(question.rawValue)\(proposal) > ", prefill: returned ?? "",
            completions: question.completions(context) + ["back", "show", "quit"], history: question.rawValue)
    }

    private mutating func answer(_ question: Question, _ line: String, fromReview: Bool) -> Turn {
        let typed = AnswerLine.editable(line).trimmed
        switch command(typed) {
        case "?", "help":
            return Turn(question.help(context, screen: screen))
        case "back":
            return back(from: question, fromReview: fromReview)
        case "show":
            return Turn(overview)
        case "quit", "q", "exit":
            return leave()
        case "list" where question == .services:
            return Turn(ServicesQuestion().list(context, screen))
        case let list where question == .services && list.hasPrefix("list "):
            return Turn(ServicesQuestion().list(String(list.dropFirst(5)).trimmed, context, screen))
        case "" where returned != nil:
            // An emptied line after a mistake is no consent to a default that is not on the screen.
            returned = nil
            return Turn([])
        default:
            break
        }
        switch question.parse(typed.isEmpty ? question.defaultAnswer(context) : line, context) {
        case .failure(let mistake):
            let hint = returned == nil ? [] : screen.paragraph("Ctrl-U empties the line.", tone: .faint)
            returned = AnswerLine.editable(line)
            return Turn(lines(for: mistake) + hint)
        case .success(let answers):
            // Another answer has dangers of its own, though they may sound like those of the last one.
            if answers != context.answers { shownWarnings[question] = [] }
            context.answers = answers
            context.answered.insert(question)
            return Turn(newWarnings(question)).followed(by: proceed(after: question, fromReview: fromReview))
        }
    }

    /// What was typed as a command: also behind a line that was given back for editing.
    private func command(_ typed: String) -> String {
        let words = ["?", "help", "back", "show", "quit"]
        guard let returned = returned?.trimmed, typed.hasPrefix(returned) else { return typed.lowercased() }
        let added = String(typed.dropFirst(returned.count)).trimmed.lowercased()
        return words.contains(added) ? added : typed.lowercased()
    }

    private mutating func back(from question: Question, fromReview: Bool) -> Turn {
        if fromReview {
            stage = .reviewing
            returned = nil
            return Turn([])
        }
        guard let index = questions.firstIndex(of: question), index > 0 else {
            returned = nil
            return Turn(screen.paragraph("This is the first question."))
        }
        return Turn([.blank] + ask(questions[index - 1], fromReview: false))
    }

    private mutating func proceed(after question: Question, fromReview: Bool) -> Turn {
        returned = nil
        if !fromReview, let index = questions.firstIndex(of: question), index + 1 < questions.count {
            return Turn([.blank] + ask(questions[index + 1], fromReview: false))
        }
        stage = .composing
        summary = nil
        rehearsal = nil
        return Turn([.blank], request: .compose)
    }

    private func lines(for mistake: AnswerMistake) -> [Line] {
        let shown = mistake.parts.prefix(5)
        let rest = mistake.parts.count - shown.count
        return shown.flatMap { screen.paragraph($0.message, tone: .mistake) }
            + (rest > 0 ? screen.paragraph("And \(rest) more.", tone: .mistake) : [])
    }

    private mutating func newWarnings(_ question: Question) -> [Line] {
        let new = question.warnings(context).withoutRepeats.filter {
            shownWarnings[question, default: []].insert($0).inserted
        }
        return new.flatMap { screen.paragraph("! \($0)", hanging: screen.margin + 2, tone: .warning) }
    }

    /// The answers so far, for `show`.
    var overview: [Line] { overview(context) }

    /// The answers of a context, each with whether it was given.
    func overview(_ context: QuestionContext) -> [Line] {
        screen.definitions(
            questions.enumerated().map { index, question in
                let answer = question.defaultAnswer(context)
                let note = context.answered.contains(question) ? "" : "   (not asked yet)"
                return ("\(index + 1) \(question.rawValue)", answer + note)
            })
    }
}

extension Wizard.Turn {
    /// This turn's lines and then the other's, with the other's request.
    func followed(by other: Wizard.Turn) -> Wizard.Turn {
        Wizard.Turn(lines + other.lines, request: other.request)
    }
}

extension String {
    /// The text without spaces at either end.
    var trimmed: String {
        String(trimmedAtEnd.drop { $0 == " " })
    }
}
