import Netfilter
import Policy

/// The wizard as a state machine.
///
/// It takes a typed line, and returns lines for the screen and at most one request.
///
/// It uses no terminal, no clock and no machine. ``Conversation`` drives it.
package struct Wizard: Sendable {
    /// Whether the wizard sets up this machine or runs in a throwaway network.
    package enum Mode: CaseIterable, Equatable, Sendable {
        case setup
        case trial
    }

    /// The current step of the wizard.
    package enum Stage: Equatable, Sendable {
        /// Another firewall manager is active. The wizard asks whether latchkey takes over.
        case offeringTakeOver
        /// There are answers from an earlier session. The wizard asks whether to resume or start over.
        case offeringDraft(Draft)
        /// The wizard asks a question. After an edit from the review, the review comes next.
        case asking(Question, fromReview: Bool)
        /// The plan is being created from the answers and rehearsed.
        case composing
        /// The wizard shows the review and waits for a command.
        case reviewing
        /// The wizard has ended.
        case finished(Ending)
    }

    /// How the wizard ended.
    package enum Ending: Equatable, Sendable {
        case apply
        case quit
    }

    /// What the calling program must do next.
    package enum Request: Equatable, Sendable {
        /// Create the plan from the answers, and pass its changes to ``Wizard/composed(_:)``.
        case compose
        /// Test the plan with packets, and pass the result to ``Wizard/rehearsed(_:)``.
        case rehearse
        /// Import what the other firewall manager allows, and pass it to ``Wizard/imported(_:notes:)``.
        case importAnswers
        /// Show the plan's rules.
        case rules
        /// Show the difference between the current rules and the plan's rules.
        case diff
        /// Save the answers, to this file if one is given.
        case save(String?)
        /// Parse the time that the user has to keep the new rules, and pass it to ``Wizard/setDeadline(_:)``.
        case deadline(String)
        /// Start the change.
        case apply
        /// Quit; nothing was changed.
        case quit
    }

    /// The result of one step.
    package struct Turn: Equatable, Sendable {
        /// The lines to show.
        package var lines: [Line]
        /// What to do next, if anything.
        package var request: Request?

        init(_ lines: [Line], request: Request? = nil) {
            self.lines = lines
            self.request = request
        }
    }

    /// The current step of the wizard.
    package internal(set) var stage: Stage
    /// The current screen.
    ///
    /// Set it again when the window size changes.
    package var screen: Screen
    /// The questions to ask, in order.
    package let questions: [Question]
    /// Whether the wizard sets up this machine.
    package let mode: Mode

    /// Whether the change takes over other firewall managers.
    package internal(set) var takesOver: Bool
    /// The draft to offer after the question about other firewall managers.
    let waitingDraft: Draft?
    var context: QuestionContext
    /// The line to edit after a mistake; nil if the question was just asked.
    var returned: String?
    private var shownWarnings: [Question: Set<String>] = [:]
    /// The time that the user has to keep the new rules, in seconds.
    package internal(set) var deadline: Int
    var summary: ChangeSummary?
    var rehearsal: RehearsalReport?

    /// Creates a wizard.
    ///
    /// `proposals` are answers from an earlier run or an answers file, used as defaults. `draft` has the answers of an
    /// unfinished session. With `takesOver`, latchkey takes over other firewall managers without asking.
    package init(
        discovery: Discovery, catalog: TemplateCatalog, proposals: Answers? = nil, draft: Draft? = nil,
        takesOver: Bool = false, deadline: Int = 60, mode: Mode = .setup, screen: Screen = Screen()
    ) {
        questions = Question.asked(discovery)
        context = QuestionContext(
            discovery: discovery, catalog: catalog, answers: proposals ?? Answers(), answered: [],
            hasProposals: proposals != nil)
        self.deadline = deadline
        self.mode = mode
        self.screen = screen
        self.takesOver = takesOver
        waitingDraft = draft
        let first = draft.map { Stage.offeringDraft($0) } ?? .asking(.admins, fromReview: false)
        stage = discovery.managers.isEmpty || takesOver ? first : .offeringTakeOver
        if takesOver { context.discovery.takeOver() }
    }

    /// The answers so far.
    ///
    /// They are complete when the review is shown.
    package var answers: Answers { context.answers }

    // MARK: - Steps

    /// The start screen and the first question.
    package mutating func begin() -> Turn {
        let start = StartScreen(discovery: context.discovery, mode: mode, screen: screen).lines
        if case .offeringTakeOver = stage { return Turn(start + takeOverLines) }
        if case .offeringDraft(let draft) = stage { return Turn(start + draftLines(draft)) }
        return Turn(start + ask(.admins, fromReview: false))
    }

    /// The line to ask for now.
    package var request: LineRequest {
        switch stage {
        case .offeringTakeOver: takeOverRequest
        case .offeringDraft: draftRequest
        case .asking(let question, _): questionRequest(question)
        case .composing, .reviewing, .finished: reviewRequest
        }
    }

    /// Handles a typed line.
    package mutating func input(_ line: String) -> Turn {
        switch stage {
        case .offeringTakeOver: takeOverInput(line)
        case .offeringDraft(let draft): draftInput(line, draft)
        case .asking(let question, let fromReview): answer(question, line, fromReview: fromReview)
        case .reviewing: reviewInput(line)
        case .composing, .finished: Turn([])
        }
    }

    /// Quits, because the input ended or the user pressed Ctrl-C.
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
            // An empty line after a mistake does not accept the default, because the prompt does not show it.
            returned = nil
            return Turn([])
        default:
            break
        }
        switch question.parse(typed.isEmpty ? question.defaultAnswer(context) : line, context) {
        case .failure(let mistake):
            let hint = returned == nil ? [] : screen.paragraph("Ctrl-U clears the line.", tone: .faint)
            returned = AnswerLine.editable(line)
            return Turn(lines(for: mistake) + hint)
        case .success(let answers):
            // A different answer shows all its warnings, even if the previous answer had the same ones.
            if answers != context.answers { shownWarnings[question] = [] }
            context.answers = answers
            context.answered.insert(question)
            return Turn(newWarnings(question)).followed(by: proceed(after: question, fromReview: fromReview))
        }
    }

    /// The typed command in lower case, also if it was typed after a line that was shown again for editing.
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
            + (rest > 0 ? screen.paragraph("And \(rest) more mistakes.", tone: .mistake) : [])
    }

    private mutating func newWarnings(_ question: Question) -> [Line] {
        let new = question.warnings(context).withoutRepeats.filter {
            shownWarnings[question, default: []].insert($0).inserted
        }
        return new.flatMap { screen.paragraph("! \($0)", hanging: screen.margin + 2, tone: .warning) }
    }

    /// The answers so far, for `show`.
    var overview: [Line] { overview(context) }

    /// The answers of a context, with a note for each question that was not asked yet.
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
    /// This turn's lines followed by the other's lines, with the other's request.
    func followed(by other: Wizard.Turn) -> Wizard.Turn {
        Wizard.Turn(lines + other.lines, request: other.request)
    }
}

extension String {
    /// The text without leading and trailing spaces.
    var trimmed: String {
        String(trimmedAtEnd.drop { $0 == " " })
    }
}
