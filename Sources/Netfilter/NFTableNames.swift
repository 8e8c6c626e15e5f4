/// New names for the chains and sets of a table.
package struct NFTableNames: Sendable, Equatable {
    /// The new name of each chain.
    package var chains: [String: String] = [:]
    /// The new name of each set and map.
    package var sets: [String: String] = [:]

    /// No new names.
    package init() {}

    /// A line of a table with the new names in place of the old ones; quoted text stays as it is.
    package func renamed(_ line: String) -> String {
        guard !(chains.isEmpty && sets.isEmpty) else { return line }
        var result = ""
        var last = ""
        for word in Self.words(line) {
            var new = word
            if last == "jump" || last == "goto" {
                new = chains[word] ?? word
            } else if word.hasPrefix("@") {
                new = sets[String(word.dropFirst())].map { "@\($0)" } ?? word
            }
            result += new
            if word != " " { last = word }
        }
        return result
    }

    /// Whether a line's rule may leave its chain before the end without a verdict on the packet: by `return`, or by
    /// `goto` to a chain that ends; both may be in a map of verdicts too.
    package static func mayReturn(_ line: String) -> Bool {
        let words = words(line)
        return words.contains { $0 == "return" || $0 == "goto" }
            || (words.contains("vmap") && words.contains { $0.hasPrefix("@") })
    }

    /// The words of a line, spaces and punctuation as words of their own; joined, they are the line.
    private static func words(_ line: String) -> [String] {
        var words: [String] = []
        var word = ""
        var isQuoted = false
        for character in line {
            if isQuoted || character == "\"" {
                word.append(character)
                if character == "\"" { isQuoted.toggle() }
            } else if " \t,{};:()".contains(character) {
                if !word.isEmpty { words.append(word) }
                words.append(String(character))
                word = ""
            } else {
                word.append(character)
            }
        }
        return word.isEmpty ? words : words + [word]
    }
}
