import Netfilter
import SafeApply

/// The part of latchkey's own sets that a rehearsal needs: loading a large one takes longer than all packets.
///
/// Every network stays that contains an address of a packet, so each packet meets the same rules as with the whole set.
struct SampledSets: Sendable {
    /// The addresses of the packets, sorted.
    private let addresses: [IPAddress]

    /// How many networks of a set are loaded, unless the packets need more.
    private static let limit = 200

    /// The sets for packets from and to these addresses.
    init(_ addresses: some Sequence<IPAddress>) { self.addresses = Set(addresses).sorted() }

    /// The table with such sets.
    func table(_ table: NFTable) -> NFTable {
        var table = table
        table.parts = table.parts.map { part in
            guard part.isOwnSet, let elements = part.addressElements, elements.count > Self.limit else { return part }
            return part.with(elements: sample(elements))
        }
        return table
    }

    /// Commands for ipset(8) with such sets; other lines stay.
    func commands(_ text: String) -> String {
        let prefix = "add \(NFTable.Part.ownSetPrefix)"
        let lines = text.split(separator: "\n")
        let added = lines.filter { $0.hasPrefix(prefix) }
        guard added.count > Self.limit else { return text }
        let bySet = Dictionary(grouping: added) { $0.split(separator: " ")[1] }
        let kept = bySet.mapValues { lines in
            let elements = lines.map { $0.split(separator: " ", maxSplits: 3).dropFirst(2).first ?? "" }
            return lines.count > Self.limit ? Set(sample(elements)) : Set(elements)
        }
        return lines.filter { line in
            guard line.hasPrefix(prefix) else { return true }
            let words = line.split(separator: " ", maxSplits: 3)
            return words.count < 3 || kept[words[1]]?.contains(words[2]) != false
        }.map { "\($0)\n" }.joined()
    }

    /// The elements that the packets need, the first, the last, and some between them.
    private func sample(_ elements: [Substring]) -> [Substring] {
        let needed = Set(elements.indices.filter { isNeeded(elements[$0]) })
        let count = Self.limit - needed.count
        guard count > 1 else { return needed.sorted().map { elements[$0] } }
        let spread = (0..<count).map { $0 * (elements.count - 1) / (count - 1) }
        return needed.union(spread).sorted().map { elements[$0] }
    }

    private func isNeeded(_ element: Substring) -> Bool {
        // What is not in the form that latchkey writes, such as a range, stays.
        guard let network = try? CIDR(parsing: String(element)) else { return true }
        var (low, high) = (0, addresses.count)
        while low < high {
            let middle = (low + high) / 2
            if addresses[middle] < network.address { low = middle + 1 } else { high = middle }
        }
        return low < addresses.count && network.contains(addresses[low])
    }
}

extension RehearsalRunner.Piece {
    /// The same rules with only the part of latchkey's sets that a rehearsal needs.
    func with(_ sets: SampledSets) -> RehearsalRunner.Piece {
        var piece = self
        piece.sets = sets.commands(self.sets)
        if let tables, let read = try? NFTable.tables(in: tables) {
            piece.tables = read.map { sets.table($0).compactText }.joined()
        }
        return piece
    }
}
