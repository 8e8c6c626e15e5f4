import Netfilter
import Policy

/// Collects networks from words, and what is wrong with those that are none.
struct NetworkReader {
    private(set) var networks: [CIDR] = []
    private(set) var mistakes: [AnswerMistake.Part] = []
    private let takesIPv6: Bool

    /// Makes a reader; answers that close IPv6 take no addresses of it.
    init(_ answers: Answers) {
        takesIPv6 = answers.ipv6
    }

    /// Reads one word as an address or a network; a repeated one is kept once.
    mutating func read(_ word: String) {
        do throws(AddressError) {
            let network = try CIDR(source: word)
            guard takesIPv6 || network.family == .ipv4 else {
                mistakes.append(
                    .init(
                        text: word, message: "\(word.quoted()) is IPv6, which your answers file closes (ipv6: false)."))
                return
            }
            if !networks.contains(network) { networks.append(network) }
        } catch {
            mistakes.append(.init(text: word, message: error.message))
        }
    }

    /// Whether a word is meant as an address rather than as a name.
    static func looksLikeAddress(_ word: String) -> Bool {
        word.contains(".") || word.contains(":") || word.contains("/") || (word.first?.isNumber ?? false)
    }
}
