/// The known word that a person probably meant.
package enum Suggestion {
    /// The known word most similar to `word`, unless none is similar.
    ///
    /// - Parameters:
    ///   - word: the word that was written.
    ///   - known: the known words.
    /// - Returns: a word that differs from the written one in at most a third of the letters.
    package static func nearest(to word: String, among known: some Sequence<String>) -> String? {
        let written = Array(word.lowercased().unicodeScalars.prefix(64))
        guard written.count > 1 else { return nil }
        let candidates = known.map { (distance(written, Array($0.lowercased().unicodeScalars)), $0) }
        guard let best = candidates.min(by: { $0 < $1 }) else { return nil }
        return best.0 <= max(1, written.count / 3) ? best.1 : nil
    }

    /// `Did you mean "web"?`, or `otherwise` if no known word is similar.
    package static func remedy(for word: String, among known: [String], otherwise: String) -> String {
        nearest(to: word, among: known).map { "Did you mean \"\($0)\"?" } ?? otherwise
    }

    /// The number of letters inserted, left out, changed or swapped with their neighbour (optimal string alignment).
    private static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        var before: [Int] = []
        var previous = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                let changed = previous[column] + (letter == other ? 0 : 1)
                var best = min(changed, previous[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                    best = min(best, before[column - 1] + 1)
                }
                current.append(best)
            }
            before = previous
            previous = current
        }
        return previous[right.count]
    }
}
