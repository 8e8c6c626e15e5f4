import Policy

/// The questions of the wizard, in the order in which it asks them.
package enum Question: String, CaseIterable, Equatable, Sendable {
    case admins
    case ssh
    case services
    case ports
    case ping
    case existing
    case docker

    /// The questions that apply to this machine.
    package static func asked(_ discovery: Discovery) -> [Question] {
        allCases.filter { question in
            switch question {
            case .existing: discovery.hasExistingRules
            case .docker: !discovery.published.isEmpty
            case .admins, .ssh, .services, .ports, .ping: true
            }
        }
    }

    /// The question's texts and its parser.
    var script: any QuestionScript {
        switch self {
        case .admins: AdminsQuestion()
        case .ssh: SSHQuestion()
        case .services: ServicesQuestion()
        case .ports: PortsQuestion()
        case .ping: PingQuestion()
        case .existing: ExistingQuestion()
        case .docker: DockerQuestion()
        }
    }
}

extension Question {
    /// The text of the question.
    package func title(_ context: QuestionContext) -> String {
        script.title(context)
    }

    /// The help text that `?` shows at this question.
    package func help(_ context: QuestionContext, screen: Screen) -> [Line] {
        script.help(context, screen)
    }

    /// The answer that Enter accepts, as the user would type it.
    package func defaultAnswer(_ context: QuestionContext) -> String {
        if context.answered.contains(self) || context.hasProposals { return script.render(context.answers) }
        return script.proposal(context)
    }

    /// The words that Tab completes at this question.
    package func completions(_ context: QuestionContext) -> [String] {
        script.completions(context)
    }

    /// The answers, updated from the typed line, or all errors in the line.
    package func parse(_ text: String, _ context: QuestionContext) -> Result<Answers, AnswerMistake> {
        do throws(AnswerMistake) {
            return .success(try script.parse(try AnswerLine(parsing: text), context))
        } catch {
            return .failure(error)
        }
    }

    /// Warnings about the answer in `context`.
    package func warnings(_ context: QuestionContext) -> [String] {
        script.warnings(context)
    }
}
