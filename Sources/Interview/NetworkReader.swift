import Netfilter
import Policy

/// Parses words as networks, and collects the networks and the errors.
struct NetworkReader {
    private(set) var networks: [CIDR] = []
    private(set) var mistakes: [AnswerMistake.Part] = []
    private let allowsIPv6: Bool

    /// Creates a reader.
    ///
    /// If the answers block IPv6, IPv6 addresses are errors.
    init(_ answers: Answers) {
        allowsIPv6 = answers.ipv6
    }

    /// Parses one word as an address or a network.
    ///
    /// Duplicates are ignored.
    mutating func read(_ word: String) {
        do throws(AddressError) {
            let network = try CIDR(source: word)
            guard allowsIPv6 || network.family == .ipv4 else {
                mistakes.append(
                    .init(
                        text: word,
                        message: "\(word.quoted()) is IPv6, and your answers file blocks IPv6 (ipv6: false)."))
                return
            }
            if !networks.contains(network) { networks.append(network) }
        } catch {
            mistakes.append(.init(text: word, message: error.message))
        }
    }

    /// Whether a word looks like an address rather than a name.
    static func looksLikeAddress(_ word: String) -> Bool {
        word.contains(".") || word.contains(":") || word.contains("/") || (word.first?.isNumber ?? false)
    }
}
