import Netfilter
import Policy

/// Parses words as networks, and collects the networks and the errors.
struct NetworkReader {
    private(set) var networks: [CIDR] = []
    private(set) var files: [AddressFile] = []
    private(set) var mistakes: [AnswerMistake.Part] = []
    private let allowsIPv6: Bool
    /// The files that the answers name, by their words.
    private let knownFiles: [String: AddressFile]
    /// The addresses, networks and files.
    var list: AddressList { AddressList(networks, files: files) }

    /// Creates a reader.
    ///
    /// If the answers block IPv6, IPv6 addresses are errors.
    init(_ answers: Answers) {
        allowsIPv6 = answers.ipv6
        let lists =
            [answers.admins]
            + ([answers.ssh?.from] + answers.services.map(\.from)).compactMap { source in
                if case .networks(let list) = source { list } else { nil }
            }
        knownFiles = Dictionary(lists.flatMap(\.files).map { ($0.word, $0) }) { first, _ in first }
    }

    /// Parses one word as an address, a network or a file that the answers name.
    ///
    /// Duplicates are ignored.
    mutating func read(_ word: String) {
        if word.hasPrefix(AddressFile.wordPrefix) { return readFile(word) }
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

    private mutating func readFile(_ word: String) {
        if let file = knownFiles[word] {
            if !files.contains(file) { files.append(file) }
        } else {
            mistakes.append(
                .init(
                    text: word,
                    message: "\(word.quoted()) is not in your answers file. Add it there as { file: PATH }."))
        }
    }

    /// Whether a word looks like an address rather than a name.
    static func looksLikeAddress(_ word: String) -> Bool {
        word.contains(".") || word.contains(":") || word.contains("/") || (word.first?.isNumber ?? false)
    }
}
