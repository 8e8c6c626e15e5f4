import Policy

/// A question's texts, its default, and how an answer is read.
protocol QuestionScript: Sendable {
    /// The question itself.
    func title(_ context: QuestionContext) -> String

    /// What was found here that bears on it, for the right edge of the title.
    func remark(_ context: QuestionContext) -> String

    /// The lines between the title and the prompt.
    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line]

    /// What `?` shows.
    func help(_ context: QuestionContext, _ screen: Screen) -> [Line]

    /// What Enter takes where no answers file and no earlier answer says otherwise, as one would type it.
    func proposal(_ context: QuestionContext) -> String

    /// The answer given, as one would type it.
    func render(_ answers: Answers) -> String

    /// The answers with what the line says; every wrong part is reported at once.
    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers

    /// The words that Tab offers.
    func completions(_ context: QuestionContext) -> [String]

    /// What the person should know about the answer just given; none of it stops the way.
    func warnings(_ context: QuestionContext) -> [String]
}
