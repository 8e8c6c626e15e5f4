import Netfilter
import Policy

/// The question "Who may log in by SSH?".
struct SSHQuestion: QuestionScript {
    func title(_ context: QuestionContext) -> String {
        let ports = context.sshPorts
        let word = ports.count == 1 ? "port" : "ports"
        return "Who may log in by SSH (\(word) \(ports.map(String.init).listed(limit: 6)))?"
    }

    func remark(_ context: QuestionContext) -> String { "" }

    /// The limit of the answer "limited".
    private var usual: RateLimit { .usual }

    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        let admins = context.answers.admins.shown
        let meaning =
            switch admins.count {
            case 0: "there are none, so nobody could log in"
            case 1 where context.answers.admins.networks.first?.isHost == false: "only the network \(admins[0])"
            case 1: "only \(admins[0]). If that address changes, you can't log in"
            default: "only \(admins.listed()). If these change, you can't log in"
            }
        return screen.definitions([
            ("everyone", "any address can connect; sshd checks the key or password"),
            ("limited", "everyone, but at most \(usual.count) connections in \(usual.seconds) s from one address"),
            ("admins", meaning),
        ])
    }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            SSH is how you log in to this server. With "everyone", any address can connect, and sshd asks for a \
            key or a password. This is safe if you use keys. With "limited", a program that tries many passwords is \
            slowed down: one address can make \(usual.count) new connections at once, and then one every \
            \(usual.seconds / usual.count) s. Logins that exist already and the addresses from \
            question 1 are not limited. With "admins", only the addresses from question 1 can connect to sshd. You \
            can also enter addresses or networks. The port is the one that sshd listens on. To \
            open a different port, add "port 2222", for example. latchkey does not change the settings of sshd.
            """)
            + screen.examples(["limited", "admins", "192.168.1.0/24", "everyone port 2222"])
    }

    func proposal(_ context: QuestionContext) -> String { "everyone" }

    func render(_ answers: Answers) -> String {
        let from = answers.ssh?.from ?? .everyone
        let limit = answers.ssh?.limit
        // "limited" alone means everyone.
        let source =
            limit == .usual && from == .everyone
            ? RateLimit.usual.clause : ([from.words] + (limit.map { [$0.clause] } ?? [])).joined(separator: " ")
        guard let ports = answers.ssh?.ports else { return source }
        return "\(source) port \(ports.map(String.init).joined(separator: " "))"
    }

    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers {
        var mistakes: [AnswerMistake.Part] = []
        var sources: [String] = []
        var reader = NetworkReader(context)
        var clause = ClauseReader(context, of: "answer")
        var ports: [UInt16]?
        for word in line.words {
            let plain = word.lowercased()
            if plain != "from", clause.read(word) { continue }
            if plain == "port" || plain == "ports" {
                ports = ports ?? []
            } else if ports != nil {
                if let port = UInt16(word), port > 0, String(port) == word {
                    ports?.append(port)
                } else {
                    mistakes.append(
                        .init(text: word, message: "\(word.quoted()) is not a port. Enter a number from 1 to 65535."))
                }
            } else if plain == "everyone" || plain == "admins" {
                sources.append(plain)
            } else if plain == "none" || plain == "nobody" {
                mistakes.append(
                    .init(
                        text: word, message: "Without SSH, nobody can log in. To allow only admins, answer \"admins\".")
                )
            } else if let port = UInt16(word), port > 0 {
                mistakes.append(
                    .init(text: word, message: "\(word.quoted()) is a number. To set the SSH port, enter: port \(port)")
                )
            } else if reader.isSource(word) {
                reader.read(word)
            } else {
                mistakes.append(
                    .init(
                        text: word,
                        message:
                            "\(word.quoted()) is not valid. Use everyone, admins, an address or \"port 2222\"."
                    ))
            }
        }
        clause.finish()
        mistakes = reader.mistakes + clause.mistakes + mistakes
        if ports?.isEmpty ?? false, mistakes.isEmpty {
            mistakes.append(.init(text: "port", message: "\"port\" needs a number, for example: everyone port 2222"))
        }
        if sources.withoutRepeats.count + (reader.list.isEmpty ? 0 : 1) > 1 {
            let text = line.words.joined(separator: " ")
            mistakes.append(
                .init(text: text, message: "Use only one: everyone, admins, or addresses. Admins always have access."))
        }
        guard mistakes.isEmpty else { throw AnswerMistake(mistakes) }
        var answers = context.answers
        let previous = answers.ssh ?? SSHAnswer(from: .everyone)
        let from: Source =
            switch sources.first {
            case "everyone": .everyone
            case "admins": .admins
            default:
                !reader.list.isEmpty ? .networks(reader.list) : clause.limit == nil ? previous.from : .everyone
            }
        answers.ssh = SSHAnswer(ports: ports?.withoutRepeats, from: from, limit: clause.limit)
        return answers
    }

    func completions(_ context: QuestionContext) -> [String] {
        ["everyone", "limited", "admins", "port"] + context.discovery.interfaces
            + [context.discovery.peer?.description].compactMap(\.self)
    }

    func warnings(_ context: QuestionContext) -> [String] {
        let answers = context.answers
        var warnings: [String] = []
        let from = answers.ssh?.from ?? .everyone
        if from == .admins, answers.admins.isEmpty {
            warnings.append("There are no administrators, so nobody could log in by SSH.")
        } else if let peer = context.discovery.peer, !peer.isLoopback, !context.admits(peer, from: from) {
            warnings.append("You are connected from \(peer). You could not log in again from there.")
        }
        if from == .everyone, !answers.admins.isEmpty {
            warnings.append("SSH is open to everyone. Use keys, not passwords.")
        }
        if case .networks(let networks) = from {
            warnings += networks.networks.compactMap { network in
                network.excessiveSize.map { "\(network.description) contains \($0)." }
            }
        }
        if let ports = answers.ssh?.ports {
            let unused = ports.filter { !context.discovery.sshPorts.contains($0) }
            if !unused.isEmpty {
                let now = context.discovery.sshPorts.map(String.init).listed(limit: 6)
                warnings.append(
                    "sshd does not listen on \(unused.map(String.init).listed(limit: 6)). It listens on \(now).")
            }
            if let port = context.discovery.peerPort, !ports.contains(port) {
                warnings.append("Your SSH connection uses port \(port). New connections to it would be blocked.")
            }
        }
        return warnings
    }
}

extension Source {
    /// The source as the user would type it.
    var words: String {
        switch self {
        case .everyone: "everyone"
        case .admins: "admins"
        case .networks(let networks): networks.words.joined(separator: " ")
        }
    }
}

extension QuestionContext {
    /// Whether a port that is open to `source` is open to the address.
    ///
    /// Administrators can reach every port.
    func admits(_ address: IPAddress, from source: Source) -> Bool {
        let interface = discovery.interface(of: address)
        if answers.admins.contains(address, on: interface) { return true }
        if answers.block.contains(address, on: interface) { return false }
        return switch source {
        case .everyone: true
        case .admins: false
        case .networks(let networks): networks.contains(address, on: interface)
        }
    }
}
