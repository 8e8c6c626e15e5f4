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

    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        let admins = context.answers.admins.shown
        let meaning =
            switch admins.count {
            case 0: "there are none: nobody could log in"
            case 1 where context.answers.admins.networks.first?.isHost == false: "only the network \(admins[0])"
            case 1: "only \(admins[0]); when that address changes, nobody"
            default: "only \(admins.listed()); when those change, nobody"
            }
        return screen.definitions([
            ("everyone", "any address may knock; keys and passwords decide"),
            ("admins", meaning),
        ])
    }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            SSH is your own way in. With "everyone", sshd still asks each visitor for a key or a password: use \
            keys, and this is safe. With "admins", only the addresses of question 1 reach sshd at all. You may \
            give addresses instead. The port is the one sshd listens on; to open another, add "port 2222". \
            latchkey does not change sshd's own settings.
            """)
            + screen.examples(["everyone", "admins", "192.168.1.0/24", "everyone port 2222"])
    }

    func proposal(_ context: QuestionContext) -> String { "everyone" }

    func render(_ answers: Answers) -> String {
        let source = (answers.ssh?.from ?? .everyone).words
        guard let ports = answers.ssh?.ports else { return source }
        return "\(source) port \(ports.map(String.init).joined(separator: " "))"
    }

    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers {
        var mistakes: [AnswerMistake.Part] = []
        var sources: [String] = []
        var reader = NetworkReader(context.answers)
        var ports: [UInt16]?
        for word in line.words {
            let plain = word.lowercased()
            if plain == "port" || plain == "ports" {
                ports = ports ?? []
            } else if ports != nil {
                if let port = UInt16(word), port > 0, String(port) == word {
                    ports?.append(port)
                } else {
                    mistakes.append(
                        .init(text: word, message: "\(word.quoted()) is not a port: give a number from 1 to 65535."))
                }
            } else if plain == "everyone" || plain == "admins" {
                sources.append(plain)
            } else if plain == "none" || plain == "nobody" {
                mistakes.append(
                    .init(
                        text: word, message: "Without SSH nobody gets in. To close it to strangers, answer \"admins\".")
                )
            } else if let port = UInt16(word), port > 0 {
                mistakes.append(
                    .init(text: word, message: "\(word.quoted()) is a number; for a port of SSH write: port \(port)"))
            } else if NetworkReader.looksLikeAddress(word) {
                reader.read(word)
            } else {
                mistakes.append(
                    .init(
                        text: word, message: "\(word.quoted()) is none of: everyone, admins, an address, \"port 2222\"."
                    ))
            }
        }
        mistakes = reader.mistakes + mistakes
        if ports?.isEmpty ?? false, mistakes.isEmpty {
            mistakes.append(.init(text: "port", message: "\"port\" lacks its number, such as: everyone port 2222"))
        }
        if sources.withoutRepeats.count + (reader.networks.isEmpty ? 0 : 1) > 1 {
            let text = line.words.joined(separator: " ")
            mistakes.append(
                .init(text: text, message: "Choose one: everyone, admins, or addresses. An admin gets in anyway."))
        }
        guard mistakes.isEmpty else { throw AnswerMistake(mistakes) }
        var answers = context.answers
        let earlier = answers.ssh ?? SSHAnswer(from: .everyone)
        let from: Source =
            switch sources.first {
            case "everyone": .everyone
            case "admins": .admins
            default: reader.networks.isEmpty ? earlier.from : .networks(AddressList(reader.networks))
            }
        answers.ssh = SSHAnswer(ports: ports?.withoutRepeats, from: from)
        return answers
    }

    func completions(_ context: QuestionContext) -> [String] {
        ["everyone", "admins", "port"] + [context.discovery.peer?.description].compactMap(\.self)
    }

    func warnings(_ context: QuestionContext) -> [String] {
        let answers = context.answers
        var warnings: [String] = []
        let from = answers.ssh?.from ?? .everyone
        if from == .admins, answers.admins.isEmpty {
            warnings.append("There are no administrators: nobody could log in by SSH any more.")
        } else if let peer = context.discovery.peer, !peer.isLoopback, !answers.admits(peer, from: from) {
            warnings.append("You came in from \(peer): from there you could not log in again.")
        }
        if from == .everyone, !answers.admins.isEmpty {
            warnings.append("SSH stays open to the world: use keys, not passwords.")
        }
        if case .networks(let networks) = from {
            warnings += networks.networks.compactMap { network in
                network.wideness.map { "\(network.description) holds \($0)." }
            }
        }
        if let ports = answers.ssh?.ports {
            let deaf = ports.filter { !context.discovery.sshPorts.contains($0) }
            if !deaf.isEmpty {
                let now = context.discovery.sshPorts.map(String.init).listed(limit: 6)
                warnings.append(
                    "sshd does not listen on \(deaf.map(String.init).listed(limit: 6)) here, but on \(now).")
            }
            if let port = context.discovery.peerPort, !ports.contains(port) {
                warnings.append("Your own SSH connection uses port \(port), which would be closed to new ones.")
            }
        }
        return warnings
    }
}

extension Source {
    /// The source as one would type it.
    var words: String {
        switch self {
        case .everyone: "everyone"
        case .admins: "admins"
        case .networks(let networks): networks.shown.joined(separator: " ")
        }
    }
}

extension Answers {
    /// Whether what is open to this source is open to the address: an administrator reaches everything.
    func admits(_ address: IPAddress, from source: Source) -> Bool {
        if admins.contains(address) { return true }
        return switch source {
        case .everyone: true
        case .admins: false
        case .networks(let networks): networks.contains(address)
        }
    }
}
