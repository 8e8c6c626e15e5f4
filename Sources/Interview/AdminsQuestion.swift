import Netfilter
import Policy

/// The question "Who administers this server?".
struct AdminsQuestion: QuestionScript {
    func title(_ context: QuestionContext) -> String { "Who administers this server?" }

    func remark(_ context: QuestionContext) -> String { "" }

    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        let networks = context.discovery.vpnInterfaces
        guard let first = networks.first else { return screen.paragraph("These addresses can reach every port.") }
        let (word, verb) = networks.count == 1 ? ("a VPN interface", "is") : ("VPN interfaces", "are")
        return screen.paragraph(
            "These addresses can reach every port. \(networks.listed(limit: 3)) \(verb) \(word): to allow all that "
                + "comes in there, add \(first).")
    }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            An administrator's address gets full access: every port, ping, and every program that runs here. Enter \
            the address of your office or VPN, several addresses separated by spaces, or a network such as \
            192.168.1.0/24, which contains all addresses from 192.168.1.0 to 192.168.1.255. An interface, such as \
            wg0 of a VPN, stands for everything that comes in there; one that does not exist yet is entered as \
            "interface wg0". Host names are not supported. If your address changes (at home, on a phone), answer "none". The next question is about SSH.
            """)
            + screen.examples(["192.168.1.33", "192.168.1.0/24 wg0", "none"])
    }

    func proposal(_ context: QuestionContext) -> String {
        guard let peer = context.discovery.peer, !peer.isLoopback, !context.discovery.isOwn(peer) else { return "none" }
        guard context.answers.ipv6 || peer.family == .ipv4 else { return "none" }
        return peer.description
    }

    func render(_ answers: Answers) -> String {
        answers.admins.isEmpty ? "none" : answers.admins.words.joined(separator: " ")
    }

    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers {
        var answers = context.answers
        if line.onlyWord == "none" {
            answers.admins = []
            return answers
        }
        var reader = NetworkReader(context)
        var mistakes: [AnswerMistake.Part] = []
        for word in line.words {
            switch reader.isSource(word) ? "" : word.lowercased() {
            case "none":
                mistakes.append(
                    .init(text: word, message: "\"none\" can't be combined with addresses. Remove one or the other."))
            case "me" where context.discovery.peer != nil:
                reader.read(context.discovery.peer?.description ?? "")
            default:
                reader.read(word)
            }
        }
        mistakes = reader.mistakes + mistakes
        guard mistakes.isEmpty else { throw AnswerMistake(mistakes) }
        answers.admins = reader.list
        return answers
    }

    func completions(_ context: QuestionContext) -> [String] {
        let found =
            ([context.discovery.peer?.description].compactMap(\.self))
            + context.discovery.interfaces + context.answers.admins.words
        return found.withoutRepeats + ["none"]
    }

    func warnings(_ context: QuestionContext) -> [String] {
        let admins = context.answers.admins
        var warnings: [String] = []
        if let peer = context.discovery.peer, !peer.isLoopback, !admins.isEmpty,
            !admins.contains(peer, on: context.discovery.interface(of: peer))
        {
            warnings.append("Your own address, \(peer), is not in the list.")
        }
        for network in admins.networks {
            if let size = network.excessiveSize {
                warnings.append("\(network.description) contains \(size). All of them get full access.")
            }
        }
        if admins.isEmpty {
            warnings.append("No administrator addresses: SSH is your only way to reach this server.")
        } else if context.discovery.hasIPv6, context.answers.ipv6, admins.interfaces.isEmpty,
            !admins.all.contains(where: { $0.family == .ipv6 })
        {
            warnings.append("This server also has IPv6, and none of these addresses is IPv6.")
        }
        if context.discovery.hasIPv6, !context.answers.ipv6 {
            warnings.append("This server has IPv6 addresses, and your answers file blocks IPv6 (ipv6: false).")
        }
        for own in context.discovery.addresses
        where admins.all.contains(where: { $0.isHost && $0.contains(own.address) }) {
            warnings.append("\(own.address) is this server's own address, which always has access.")
        }
        return warnings
    }
}

extension Screen {
    /// Examples of answers, on one line if they fit.
    func examples(_ examples: [String]) -> [Line] {
        let oneLine = String(repeating: " ", count: margin) + "Examples:   " + examples.joined(separator: "     ")
        if oneLine.count <= columns { return [Line(oneLine, tone: .faint)] }
        return paragraph("Examples:", tone: .faint)
            + examples.flatMap { paragraph($0, indent: margin + 3, tone: .faint) }
    }
}

extension CIDR {
    /// The number of addresses in words, if the network is too large for administrators only; otherwise nil.
    var excessiveSize: String? {
        switch family {
        case .ipv4:
            guard prefixLength < 16 else { return nil }
            if prefixLength == 0 { return "every IPv4 address" }
            let count = UInt64(1) << UInt64(32 - prefixLength)
            return count < 1_000_000 ? "\(count / 1000) thousand addresses" : "\(count / 1_000_000) million addresses"
        case .ipv6:
            // A site gets a /48 (RFC 6177). A larger network belongs to a provider.
            guard prefixLength < 48 else { return nil }
            if prefixLength == 0 { return "every IPv6 address" }
            return "more addresses than a single site uses"
        }
    }
}

extension IPAddress {
    /// Whether the address is a loopback address (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3).
    var isLoopback: Bool {
        switch family {
        case .ipv4: bytes.first == 127
        case .ipv6: bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
        }
    }
}

extension Discovery {
    /// Whether the machine has an IPv6 address besides loopback.
    var hasIPv6: Bool { addresses.contains { $0.address.family == .ipv6 } }

    /// Whether the address belongs to this machine.
    func isOwn(_ address: IPAddress) -> Bool {
        addresses.contains { $0.address == address }
    }
}

extension Array where Element: Hashable {
    /// The elements in their order, without duplicates.
    var withoutRepeats: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
