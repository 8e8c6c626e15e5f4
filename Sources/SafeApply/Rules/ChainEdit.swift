import Netfilter

/// The smallest set of commands that turns the present rules of a chain into the wanted ones.
///
/// Rules that stay are not touched, so that iptables does not need to be able to print them.
struct ChainEdit {
    /// The commands for iptables-restore; they assume the chain as it was read.
    let lines: [String]
    /// The rules that are removed or rewritten, as they are in the chain now.
    let rewritten: [Rule]

    /// The tool searches for a rule's text from the beginning of the chain, which is too slow for more than this many.
    private static let mostByBody = 100

    /// Plans the edit.
    ///
    /// - Parameters:
    ///   - chain: the chain's name.
    ///   - present: its present rules.
    ///   - wanted: the wanted rules, in this order; other rules may stay between them.
    ///   - byPlace: whether rules are deleted by number, because the tool does not find them by their text.
    ///   - isRemovable: whether a rule that is not wanted is removed; others stay.
    ///   - isAnchor: whether a rule that stays comes before all wanted rules.
    init(
        _ chain: String, present: [Rule], wanted: [Rule], byPlace: Bool = false, isRemovable: (Rule) -> Bool,
        isAnchor: (Int, Rule) -> Bool
    ) {
        let bodies = present.map(\.body)
        let removable = present.map(isRemovable)
        // A wanted rule that is present stays if the order allows it.
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

        // A rule is deleted by its text, which works even if another program has changed the chain since it was read.
        // Duplicate rules, or very many, are deleted by number.
        let counts = Dictionary(bodies.map { ($0, 1) }, uniquingKeysWith: +)
        let isShort = removed.count <= Self.mostByBody
        var lines = removed.reversed().map { index in
            isShort && !byPlace && counts[bodies[index]] == 1
                ? "-D \(chain) \(bodies[index])" : "-D \(chain) \(index + 1)"
        }
        // The position of each rule that stays, after the others are removed.
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
