import Policy

/// A question of the wizard, in the order in which they are asked.
package enum Question: String, CaseIterable, Equatable, Sendable {
    case admins
    case ssh
    case services
    case ports
    case ping
    case existing

    /// The questions that this machine gives a reason to ask.
    package static func asked(_ discovery: Discovery) -> [Question] {
        allCases.filter { $0 != .existing || discovery.hasExistingRules }
    }

    /// The question's texts and what its answers mean.
    var script: any QuestionScript {
        switch self {
        case .admins: AdminsQuestion()
        case .ssh: SSHQuestion()
        case .services: ServicesQuestion()
        case .ports: PortsQuestion()
        case .ping: PingQuestion()
        case .existing: ExistingQuestion()
        }
    }
}

extension Question {
    /// The question in words.
    package func title(_ context: QuestionContext) -> String {
        script.title(context)
    }

    /// What `?` shows at this question.
    package func help(_ context: QuestionContext, screen: Screen) -> [Line] {
        script.help(context, screen)
    }

    /// What an empty line stands for, as one would type it.
    package func defaultAnswer(_ context: QuestionContext) -> String {
        if context.answered.contains(self) || context.hasProposals { return script.render(context.answers) }
        return script.proposal(context)
    }

    /// The words that Tab offers at this question.
    package func completions(_ context: QuestionContext) -> [String] {
        script.completions(context)
    }

    /// The answers with what the typed line says; refused with every wrong part named.
    package func parse(_ text: String, _ context: QuestionContext) -> Result<Answers, AnswerMistake> {
        do throws(AnswerMistake) {
            return .success(try script.parse(try AnswerLine(parsing: text), context))
        } catch {
            return .failure(error)
        }
    }

    /// What the person should know about the answer that `context` holds.
    package func warnings(_ context: QuestionContext) -> [String] {
        script.warnings(context)
    }
}
