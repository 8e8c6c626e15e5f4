import Netfilter

/// A file of addresses and networks that the answers name: one per line, `#` begins a comment.
package struct AddressFile: Hashable, Sendable {
    /// Its path, absolute.
    package let path: String
    /// Its networks, sorted; networks that another one contains are left out.
    package let networks: [CIDR]
    /// The number of lines with an address or a network.
    package let count: Int

    /// The maximum number of lines.
    package static let lineLimit = 1_000_000
    /// The maximum length of a line in bytes; an address with a prefix length has at most 49.
    private static let lengthLimit = 1_024
    /// The number of mistakes that are reported in full.
    private static let mistakeLimit = 20

    /// A file of these networks, as read.
    package init(path: String, networks: [CIDR]) {
        self.path = path
        self.networks = CIDR.merged(networks)
        count = networks.count
    }

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - bytes: the file.
    ///   - path: its path, for messages too.
    /// - Throws: the first 20 mistakes with their lines, and how many more there are.
    package init(_ bytes: [UInt8], path: String) throws(DataErrors) {
        var mistakes = Mistakes(file: path)
        var networks: [CIDR] = []
        var more = 0
        var number = 0
        // Some editors begin a file with a byte order mark.
        let text = bytes.starts(with: "\u{feff}".utf8) ? bytes.dropFirst(3) : bytes[...]
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            guard number <= Self.lineLimit else {
                // The final line end leaves an empty line after it.
                if number == Self.lineLimit + 1, line.isEmpty { break }
                mistakes.add(
                    line: number, text: "", "The file has more than \(Self.lineLimit) lines.",
                    remedy: "Split it, or use networks instead of single addresses.")
                break
            }
            do {
                if let network = try Self.network(line) { networks.append(network) }
            } catch {
                if mistakes.count < Self.mistakeLimit {
                    mistakes.add(line: number, text: error.text, error.message)
                } else {
                    more += 1
                }
            }
        }
        if more > 0 {
            mistakes.add(line: number, text: "", "\(more) more \(more == 1 ? "line has" : "lines have") mistakes.")
        } else if mistakes.isEmpty, networks.isEmpty {
            mistakes.add(
                line: 1, text: "", "The file has no address.", remedy: "Write one address or network on each line.")
        }
        try mistakes.throwIfAny()
        self.init(path: path, networks: networks)
    }

    /// The prefix of the word for a file in a line of answers.
    package static let wordPrefix = "file:"

    /// The word for it in a line of answers: its path, without characters that would end the word.
    package var word: String {
        let name = path.split(separator: "/").last ?? ""
        let plain = name.unicodeScalars.map { scalar in
            scalar.isASCII
                && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || "._-".unicodeScalars.contains(scalar))
                ? Character(scalar) : "_"
        }
        return Self.wordPrefix + String(plain)
    }

    /// Whether one of its networks contains the address.
    package func contains(_ address: IPAddress) -> Bool {
        // The networks do not overlap: only the last one that begins at or before the address can contain it.
        var (low, high) = (0, networks.count)
        while low < high {
            let middle = (low + high) / 2
            if networks[middle].address <= address { low = middle + 1 } else { high = middle }
        }
        return low > 0 && networks[low - 1].contains(address)
    }

    /// The content of a line; nil for an empty line and for a comment.
    private static func network(_ line: ArraySlice<UInt8>) throws(AddressError) -> CIDR? {
        let isBlank: (UInt8) -> Bool = { [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r")].contains($0) }
        var text = line.prefix { $0 != UInt8(ascii: "#") }.drop(while: isBlank)
        while let last = text.last, isBlank(last) { text.removeLast() }
        guard !text.isEmpty else { return nil }
        guard text.count <= lengthLimit else {
            throw .notAnAddress(String(decoding: text.prefix(40), as: UTF8.self) + "…")
        }
        return try CIDR(source: String(decoding: text, as: UTF8.self))
    }
}

extension CIDR {
    /// Networks sorted, without those that another one contains.
    package static func merged(_ networks: [CIDR]) -> [CIDR] {
        // A file's networks have been sorted before, and there may be a million of them.
        if zip(networks, networks.dropFirst()).allSatisfy({ $0 < $1 && !$0.contains($1) }) { return networks }
        var merged: [CIDR] = []
        // A network is sorted directly before all networks that it contains.
        for network in networks.sorted() where merged.last?.contains(network) != true { merged.append(network) }
        return merged
    }
}

/// Why a file of addresses was refused.
package enum AddressFileError: Error, Equatable, Sendable {
    /// It could not be read; the reason is a sentence.
    case unreadable(String)
    /// It has mistakes.
    case mistakes(DataErrors)
}

extension AddressList {
    /// The maximum number of addresses and networks that represent the whole list where each one is slow: in a
    /// rehearsal, and in the emergency opening.
    private static let sampleSize = 16

    /// One family of a short list; for a long list, the first, the last, some at equal distances between them and some
    /// at random, which are the same each time for the same list.
    package func sample(_ family: Family) -> [CIDR] {
        let all = all.filter { $0.family == family }
        guard all.count > Self.sampleSize else { return all }
        let half = Self.sampleSize / 2
        var places = Set((0..<half).map { $0 * (all.count - 1) / (half - 1) })
        // FNV-1a over the networks so far, which only needs to differ between lists.
        var number: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in places.sorted().flatMap({ all[$0].address.bytes }) {
            number = (number ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        while places.count < Self.sampleSize {
            number = number &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            places.insert(Int((number >> 33) % UInt64(all.count)))
        }
        return places.sorted().map { all[$0] }
    }

    /// Whether a network other than "all addresses" contains the address.
    func names(_ address: IPAddress) -> Bool {
        networks.contains { !$0.isEverything && $0.contains(address) }
            || files.contains { $0.networks.first?.isEverything != true && $0.contains(address) }
    }

    /// The list as a line of answers, each word separately.
    package var words: [String] { networks.map(\.description) + interfaces.map(\.text) + files.map(\.word) }

    /// The list for people: the addresses written in the answers, the interfaces, and each file with its size.
    package var shown: [String] {
        networks.map(\.description) + interfaces.map { "interface \($0)" }
            + files.map { "\($0.path) (\($0.count) lines)" }
    }
}
