import Netfilter
import Policy

/// The question "Who administers this server?".
struct AdminsQuestion: QuestionScript {
    func title(_ context: QuestionContext) -> String { "Who administers this server?" }

    func remark(_ context: QuestionContext) -> String { "" }

    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph("These addresses may reach everything on it.")
    }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            An administrator's machine gets full access: every port, ping, whatever runs here. Give the address of \
            your office or VPN, several with spaces between, or a network such as 192.168.1.0/24, which is all \
            addresses from 192.168.1.0 to 192.168.1.255. Names are not looked up. If your address changes (at home, \
            on a phone) answer "none": SSH is the next question.
            """)
            + screen.examples(["192.168.1.33", "192.168.1.0/24 2001:db8:5::/64", "none"])
    }

    func proposal(_ context: QuestionContext) -> String {
        guard let peer = context.discovery.peer, !peer.isLoopback, !context.discovery.isOwn(peer) else { return "none" }
        guard context.answers.ipv6 || peer.family == .ipv4 else { return "none" }
        return peer.description
    }

    func render(_ answers: Answers) -> String {
        answers.admins.isEmpty ? "none" : answers.admins.networks.map(\.description).joined(separator: " ")
    }

    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers {
        var answers = context.answers
        if line.onlyWord == "none" {
            answers.admins = []
            return answers
        }
        var reader = NetworkReader(context.answers)
        var mistakes: [AnswerMistake.Part] = []
        for word in line.words {
            switch word.lowercased() {
            case "none":
                mistakes.append(
                    .init(text: word, message: "\"none\" goes alone: leave it out, or leave the addresses out."))
            case "me" where context.discovery.peer != nil:
                reader.read(context.discovery.peer?.description ?? "")
            default:
                reader.read(word)
            }
        }
        mistakes = reader.mistakes + mistakes
        guard mistakes.isEmpty else { throw AnswerMistake(mistakes) }
        answers.admins.networks = reader.networks
        return answers
    }

    func completions(_ context: QuestionContext) -> [String] {
        let found =
            ([context.discovery.peer?.description].compactMap(\.self))
            + context.answers.admins.networks.map(\.description)
        return found.withoutRepeats + ["none"]
    }

    func warnings(_ context: QuestionContext) -> [String] {
        let admins = context.answers.admins
        var warnings: [String] = []
        if let peer = context.discovery.peer, !peer.isLoopback, !admins.isEmpty,
            !admins.contains(peer)
        {
            warnings.append("Your own address, \(peer), is not among them.")
        }
        for network in admins.networks {
            if let size = network.wideness {
                warnings.append("\(network.description) holds \(size): every one of them gets full access.")
            }
        }
        if admins.isEmpty {
            warnings.append("No administrator has a fixed address: SSH is your only way in.")
        } else if context.discovery.hasIPv6, context.answers.ipv6, !admins.all.contains(where: { $0.family == .ipv6 }) {
            warnings.append("The server has IPv6 too: whoever comes by IPv6 is none of these.")
        }
        if context.discovery.hasIPv6, !context.answers.ipv6 {
            warnings.append("This server has IPv6 addresses, and your answers file closes them (ipv6: false).")
        }
        for own in context.discovery.addresses
        where admins.all.contains(where: { $0.isHost && $0.contains(own.address) }) {
            warnings.append("\(own.address) is this server itself; it reaches itself anyway.")
        }
        return warnings
    }
}

extension Screen {
    /// Examples of answers, on one line where they fit.
    func examples(_ examples: [String]) -> [Line] {
        let oneLine = String(repeating: " ", count: margin) + "Examples:   " + examples.joined(separator: "     ")
        if oneLine.count <= columns { return [Line(oneLine, tone: .faint)] }
        return paragraph("Examples:", tone: .faint)
            + examples.flatMap { paragraph($0, indent: margin + 3, tone: .faint) }
    }
}

extension CIDR {
    /// How many addresses there are in it, in words, where they are more than anybody administers from.
    var wideness: String? {
        switch family {
        case .ipv4:
            guard prefixLength < 16 else { return nil }
            if prefixLength == 0 { return "every IPv4 address there is" }
            let count = UInt64(1) << UInt64(32 - prefixLength)
            return count < 1_000_000 ? "\(count / 1000) thousand addresses" : "\(count / 1_000_000) million addresses"
        case .ipv6:
            // A site gets a /48 (RFC 6177); what is wider belongs to a provider.
            guard prefixLength < 48 else { return nil }
            if prefixLength == 0 { return "every IPv6 address there is" }
            return "more than one site's addresses"
        }
    }
}

extension IPAddress {
    /// Whether the address is this machine's own loopback (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3).
    var isLoopback: Bool {
        switch family {
        case .ipv4: bytes.first == 127
        case .ipv6: bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
        }
    }
}

extension Discovery {
    /// Whether the machine has an address of IPv6 that others can reach.
    var hasIPv6: Bool { addresses.contains { $0.address.family == .ipv6 } }

    /// Whether the address is one of this machine's own.
    func isOwn(_ address: IPAddress) -> Bool {
        addresses.contains { $0.address == address }
    }
}

extension Array where Element: Hashable {
    /// The elements in their order, each once.
    var withoutRepeats: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
