import Netfilter
import Policy

/// The question "Who may reach the published container ports?".
struct DockerQuestion: QuestionScript {
    func title(_ context: QuestionContext) -> String { "Who may reach the published container ports?" }

    func remark(_ context: QuestionContext) -> String { "" }

    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        let ports = context.discovery.published.map(Self.text).withoutRepeats
        return screen.paragraph("Published: \(ports.listed(limit: 6))", indent: 5)
            + screen.definitions([
                ("open", "everyone, as Docker has it; the other answers do not apply to them"),
                ("answers", "who may reach the same port of the server: see services and ports"),
            ])
    }

    private static func text(_ port: Discovery.PublishedPort) -> String {
        "\(port.ports)" + (port.container.map { " (\($0.shown))" } ?? "")
    }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            A container program such as Docker forwards the published port of a container ("-p 8080:80") to the \
            container. Such packets never reach the chain for incoming packets (INPUT), so the rules for services \
            and ports do not apply to them: the port is open to everyone, whatever you answer above. With "answers", \
            latchkey also checks these packets, by the port that they were sent to (8080): admins may reach all of \
            them, and others the ports of your services and further ports. Replies, and connections that the \
            containers themselves make, are not affected.
            """)
            + screen.examples(["open", "answers"])
    }

    func proposal(_ context: QuestionContext) -> String { DockerPolicy.open.rawValue }

    func render(_ answers: Answers) -> String { answers.docker.rawValue }

    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers {
        let typed = line.words.joined(separator: " ")
        guard let word = line.onlyWord, let choice = DockerPolicy(rawValue: word) else {
            throw AnswerMistake(typed, "\(typed.quoted()) is not valid. Use open or answers.")
        }
        var answers = context.answers
        answers.docker = choice
        return answers
    }

    func completions(_ context: QuestionContext) -> [String] { ["open", "answers"] }

    func warnings(_ context: QuestionContext) -> [String] {
        guard context.answers.docker == .answers else { return [] }
        let openings = context.answers.openings(context.catalog, sshPorts: context.sshPorts)
        let open = openings.filter { $0.question != .ssh }
        let closed = context.discovery.published.filter { port in
            !open.contains { opening in
                opening.covers(port.ports.range.lower, port.ports.transport)
                    && opening.covers(port.ports.range.upper, port.ports.transport)
            }
        }.map(Self.text).withoutRepeats
        guard !closed.isEmpty else { return [] }
        let verb = closed.count == 1 ? "is" : "are"
        return ["\(closed.listed(limit: 3)) \(verb) not among your services and ports: only admins can reach it then."]
    }
}
