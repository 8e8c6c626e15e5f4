import Netfilter
import Policy

/// The question "Who may ping this server?".
struct PingQuestion: QuestionScript {
    private static let words: [(word: String, policy: PingPolicy)] = [
        ("nobody", .repliesOnly), ("admins", .admins), ("limited", .limited), ("everyone", .everyone),
    ]

    func title(_ context: QuestionContext) -> String { "Who may ping this server?" }

    func remark(_ context: QuestionContext) -> String { "" }

    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        let admins = context.answers.admins.shown
        return screen.definitions([
            ("nobody", "it can still ping others and hear the answers"),
            ("admins", admins.isEmpty ? "there are none: the same as nobody" : "only \(admins.listed(limit: 3))"),
            ("limited", "everyone, a few a second"),
            ("everyone", "any address, as often as it likes"),
        ])
    }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            A ping is a question and an answer. This server may always ask; to hear the answer, the packet that \
            comes back must be let in, and only if the server asked. How can a firewall know? The kernel remembers \
            every conversation the server began. A packet of such a conversation is called ESTABLISHED; a message \
            about one ("that host cannot be reached", "that packet was too big") is called RELATED. Those two come \
            in. What merely claims to be an answer belongs to no conversation and does not.
            """)
            + screen.paragraph(
                """
                The same rule brings home the answers to the server's DNS questions, which come from port 53, and \
                to the mail it sends, which come from port 25. Nothing is opened for them: a stranger who sends \
                from port 53 or 25 unasked stays outside. Your answer here is only about who may begin.
                """)
            + screen.examples(["nobody", "admins", "limited", "everyone"])
    }

    func proposal(_ context: QuestionContext) -> String { "nobody" }

    func render(_ answers: Answers) -> String {
        Self.words.first { $0.policy == answers.ping }?.word ?? answers.ping.rawValue
    }

    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers {
        let typed = line.words.joined(separator: " ")
        let plain = line.onlyWord == "none" ? "nobody" : line.onlyWord
        guard let choice = Self.words.first(where: { $0.word == plain || $0.policy.rawValue == plain }) else {
            let shown = typed.quoted()
            throw AnswerMistake(
                line.words.joined(separator: " "), "\(shown) is none of: nobody, admins, limited, everyone.")
        }
        var answers = context.answers
        answers.ping = choice.policy
        return answers
    }

    func completions(_ context: QuestionContext) -> [String] { Self.words.map(\.word) }

    func warnings(_ context: QuestionContext) -> [String] {
        if context.answers.ping == .admins, context.answers.admins.isEmpty {
            return ["There are no administrators: \"admins\" is the same as \"nobody\" here."]
        }
        return []
    }
}
