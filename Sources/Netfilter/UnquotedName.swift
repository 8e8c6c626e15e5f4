extension Word {
    /// iptables' options whose value iptables-save prints without quotes, even if it contains blanks
    /// (`print_string` is not used for them in libxtables' extensions).
    private static let unquoted: Set<String> = [
        "-i", "-o", "--hashlimit-name", "--name", "--label", "--physdev-in", "--physdev-out",
    ]

    /// The words of a printed rule, with names that contain blanks joined again, in quotes: as they have to be written.
    ///
    /// `--hashlimit-name ssh guard -j DROP` was `--hashlimit-name "ssh guard"`. A name ends where the next option
    /// begins. Several blanks between two words become a different name, which parsing the result again reveals.
    static func rejoined(_ words: [Word]) -> [Word] {
        // Three consecutive words that are not options are rare; most rules need only one check.
        var result = words
        var index = 0
        while index + 2 < result.count {
            guard isOption(result[index]), !isOption(result[index + 1]), !isOption(result[index + 2]),
                unquoted.contains(result[index].value)
            else {
                index += 1
                continue
            }
            var end = index + 2
            while end < result.count, !isOption(result[end]) { end += 1 }
            let name = result[(index + 1)..<end].map(\.spelling).joined(separator: " ")
            result.replaceSubrange((index + 1)..<end, with: [Word(name)])
            index += 2
        }
        return result
    }

    private static func isOption(_ word: Word) -> Bool {
        let first = word.spelling.utf8.first
        return first == Ascii.dash || first == UInt8(ascii: "!") && word.spelling.utf8.count == 1
    }
}
