import Netfilter

/// The fewest commands that bring one chain from what it holds to what it is to hold.
///
/// Rules that stay are not touched: a dump need not be able to print them.
struct ChainEdit {
    /// The commands, in iptables' words; they count on the chain as it was read.
    let lines: [String]
    /// The rules that are removed or rewritten, as they stand in the chain now.
    let rewritten: [Rule]

    /// The tool looks for a rule by what it says from the chain's beginning: with more than these it takes too long.
    private static let mostByBody = 100

    /// Plans the edit.
    ///
    /// - Parameters:
    ///   - chain: the chain's name.
    ///   - present: its rules now.
    ///   - wanted: the rules that it is to hold, in this order; between them others may stay.
    ///   - byPlace: whether rules are deleted by their places, because the tool does not find them by what they say.
    ///   - isRemovable: whether a rule that is not wanted goes; others stay.
    ///   - isAnchor: whether a rule that stays comes ahead of all that is wanted.
    init(
        _ chain: String, present: [Rule], wanted: [Rule], byPlace: Bool = false, isRemovable: (Rule) -> Bool,
        isAnchor: (Int, Rule) -> Bool
    ) {
        let bodies = present.map(\.body)
        let removable = present.map(isRemovable)
        // What is wanted and there stays, where its order allows.
        let anchor = present.indices.last { isAnchor($0, present[$0]) }
        var places = Dictionary(grouping: present.indices.filter { $0 > anchor ?? -1 }) { bodies[$0] }
        for key in places.keys { places[key]?.reverse() }
        var matched: [Int?] = []
        var next = 0
        for rule in wanted {
            let body = rule.body
            while let place = places[body]?.last, place < next { places[body]?.removeLast() }
            let place = places[body]?.popLast()
            matched.append(place)
            if let place { next = place + 1 }
        }
        let kept = Set(matched.compactMap(\.self))
        let removed = present.indices.filter { removable[$0] && !kept.contains($0) }
        rewritten = removed.map { present[$0] }

        // By what it says, a rule is found though another program has changed the chain since it was read; where there
        // are two of a kind, or very many, only the place tells them.
        let counts = Dictionary(bodies.map { ($0, 1) }, uniquingKeysWith: +)
        let isShort = removed.count <= Self.mostByBody
        var lines = removed.reversed().map { index in
            isShort && !byPlace && counts[bodies[index]] == 1
                ? "-D \(chain) \(bodies[index])" : "-D \(chain) \(index + 1)"
        }
        // Where each rule that stays is once the others have gone.
        var position = [Int](repeating: 0, count: present.count)
        var count = 0
        let gone = Set(removed)
        for index in present.indices where !gone.contains(index) {
            count += 1
            position[index] = count
        }
        var cursor = anchor.map { position[...$0].max() ?? 0 } ?? 0
        var inserted = 0
        for (rule, place) in zip(wanted, matched) {
            if let place {
                cursor = position[place] + inserted
                continue
            }
            let text = rule.counters.map { "\($0.text) " } ?? ""
            lines.append(
                cursor == count + inserted
                    ? "\(text)-A \(chain) \(rule.body)" : "\(text)-I \(chain) \(cursor + 1) \(rule.body)")
            inserted += 1
            cursor += 1
        }
        self.lines = lines
    }
}
