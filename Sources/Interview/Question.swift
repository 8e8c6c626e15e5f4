import Netfilter
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

/// What a question may take into account: the machine, the services there are, and the answers so far.
package struct QuestionContext: Sendable {
    /// What was found out about the machine.
    package var discovery: Discovery
    /// The service templates known here.
    package var catalog: TemplateCatalog
    /// The answers so far, those not asked yet as they were proposed.
    package var answers: Answers
    /// The questions answered by now.
    package var answered: Set<Question>
    /// Whether the proposals come from an answers file.
    package var hasProposals: Bool

    /// The ports that SSH has under these answers.
    var sshPorts: [UInt16] { answers.ssh?.ports ?? discovery.sshPorts }
}

/// What is wrong with an answer, part by part.
package struct AnswerMistake: Error, Equatable, Sendable {
    /// One wrong part of the line.
    package struct Part: Equatable, Sendable {
        /// The offending words as they were typed.
        package let text: String
        /// What is wrong and what to do, in plain words.
        package let message: String
    }

    /// The wrong parts, in the order of the line.
    package let parts: [Part]

    init(_ parts: [Part]) {
        self.parts = parts
    }

    init(_ text: String, _ message: String) {
        self.init([Part(text: text, message: message)])
    }
}

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
