import Policy

/// A question's texts, its default answer, and its parser.
protocol QuestionScript: Sendable {
    /// The text of the question.
    func title(_ context: QuestionContext) -> String

    /// Related facts about the machine, shown at the right edge of the title line.
    func remark(_ context: QuestionContext) -> String

    /// The lines between the title and the prompt.
    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line]

    /// The help text that `?` shows.
    func help(_ context: QuestionContext, _ screen: Screen) -> [Line]

    /// The default answer if neither an answers file nor an earlier answer gives one, as the user would type it.
    func proposal(_ context: QuestionContext) -> String

    /// The current answer, as the user would type it.
    func render(_ answers: Answers) -> String

    /// The answers, updated from the line. All errors are reported together.
    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers

    /// The words that Tab completes.
    func completions(_ context: QuestionContext) -> [String]

    /// Warnings about the answer that was just given. They don't block the wizard.
    func warnings(_ context: QuestionContext) -> [String]
}
