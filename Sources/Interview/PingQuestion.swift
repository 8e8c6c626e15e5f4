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
            ("nobody", "this server can still ping others and receive their replies"),
            (
                "admins",
                admins.isEmpty ? "there are none, so this is the same as nobody" : "only \(admins.listed(limit: 3))"
            ),
            ("limited", "everyone, a few times per second"),
            ("everyone", "any address, without a limit"),
        ])
    }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            A ping is a request and a reply. This server can always send requests. To receive the reply, the \
            firewall must allow the packet that comes back, but only if this server sent a request. How does the \
            firewall know? The kernel tracks every conversation that this server starts. A packet that belongs to \
            such a conversation has the state ESTABLISHED. An error message about one ("host unreachable", "packet \
            too big") has the state RELATED. Both are allowed. A packet that only claims to be a reply belongs to \
            no conversation and is blocked.
            """)
            + screen.paragraph(
                """
                The same rule allows the replies to this server's DNS queries, which come from port 53, and to the \
                mail that it sends, which come from port 25. No port is opened for them: a packet from port 53 or \
                25 that is not a reply is blocked. Your answer here only decides who may ping this server.
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
                line.words.joined(separator: " "), "\(shown) is not valid. Use nobody, admins, limited or everyone.")
        }
        var answers = context.answers
        answers.ping = choice.policy
        return answers
    }

    func completions(_ context: QuestionContext) -> [String] { Self.words.map(\.word) }

    func warnings(_ context: QuestionContext) -> [String] {
        if context.answers.ping == .admins, context.answers.admins.isEmpty {
            return ["There are no administrators, so \"admins\" means the same as \"nobody\"."]
        }
        return []
    }
}
