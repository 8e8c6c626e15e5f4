import Netfilter
import Policy

/// Parses words as sources of packets, and collects the sources and the errors.
struct NetworkReader {
    private(set) var networks: [CIDR] = []
    private(set) var files: [AddressFile] = []
    private(set) var interfaces: [InterfaceName] = []
    private var found: [AnswerMistake.Part] = []
    private let allowsIPv6: Bool
    /// The files that the answers name, by their words.
    private let knownFiles: [String: AddressFile]
    /// The interfaces that need no `interface` before their name: those of this machine, and those in the answers.
    private let knownInterfaces: Set<String>
    /// Whether the next word names an interface.
    private var isNaming = false
    /// The addresses, networks, files and interfaces.
    var list: AddressList { AddressList(networks, files: files, interfaces: interfaces) }
    /// What is wrong with the words so far.
    var mistakes: [AnswerMistake.Part] {
        guard isNaming else { return found }
        return found + [
            .init(text: Self.interfaceWord, message: "\"interface\" needs a name after it, for example: interface wg0")
        ]
    }

    /// The word ahead of the name of an interface.
    static let interfaceWord = "interface"

    /// Creates a reader.
    ///
    /// If the answers block IPv6, IPv6 addresses are errors.
    init(_ context: QuestionContext) {
        let answers = context.answers
        allowsIPv6 = answers.ipv6
        let sources = [answers.ssh?.from] + answers.services.map(\.from) + answers.ports.map(\.from)
        let lists =
            [answers.admins]
            + sources.compactMap { source in
                if case .networks(let list) = source { list } else { nil }
            }
        knownFiles = Dictionary(lists.flatMap(\.files).map { ($0.word, $0) }) { first, _ in first }
        knownInterfaces = Set(context.discovery.interfaces + lists.flatMap(\.interfaces).map(\.text))
    }

    /// Whether a word is part of a list of sources, rather than something that follows it.
    func isSource(_ word: String) -> Bool {
        isNaming || word == Self.interfaceWord || knownInterfaces.contains(word) || Self.looksLikeAddress(word)
    }

    /// Parses one word as an address, a network, a file that the answers name, or an interface.
    ///
    /// Duplicates are ignored.
    mutating func read(_ word: String) {
        if isNaming || knownInterfaces.contains(word) { return readInterface(word) }
        if word.lowercased() == Self.interfaceWord {
            isNaming = true
            return
        }
        if word.hasPrefix(AddressFile.wordPrefix) { return readFile(word) }
        do throws(AddressError) {
            let network = try CIDR(source: word)
            guard allowsIPv6 || network.family == .ipv4 else {
                found.append(
                    .init(
                        text: word,
                        message: "\(word.quoted()) is IPv6, and your answers file blocks IPv6 (ipv6: false)."))
                return
            }
            if !networks.contains(network) { networks.append(network) }
        } catch {
            // An interface that does not exist yet looks like any other word.
            let isName = !Self.looksLikeAddress(word) && (try? InterfaceName(parsing: word)) != nil
            let hint = isName ? " If it is an interface: \(Self.interfaceWord) \(word)" : ""
            found.append(.init(text: word, message: error.message + hint))
        }
    }

    private mutating func readInterface(_ word: String) {
        isNaming = false
        do throws(InterfaceNameError) {
            let interface = try InterfaceName(parsing: word)
            if !interfaces.contains(interface) { interfaces.append(interface) }
        } catch {
            found.append(.init(text: word, message: error.message))
        }
    }

    private mutating func readFile(_ word: String) {
        if let file = knownFiles[word] {
            if !files.contains(file) { files.append(file) }
        } else {
            found.append(
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
