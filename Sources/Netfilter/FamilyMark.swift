/// `-4` and `-6` in a hand-written line: the line is for one family only.
///
/// iptables(8): one file serves both iptables-restore and ip6tables-restore, and each ignores the lines that are marked
/// for the other. iptables-save never prints the marks.
enum FamilyMark {
    /// The words without the marks, and the families they name.
    ///
    /// A mark counts before the command, and after the chain among iptables' own options. Further on it may be the
    /// value of an extension's option (`-m recent --name -4`) and stays where it is.
    static func take(from words: ArraySlice<Word>) -> (words: ArraySlice<Word>, families: Set<Family>) {
        var families: Set<Family> = []
        var rest = words
        while let family = rest.first.flatMap(family) {
            families.insert(family)
            rest = rest.dropFirst()
        }
        guard rest.dropFirst(2).contains(where: { family($0) != nil }) else { return (rest, families) }

        var kept = Array(rest.prefix(2))
        rest = rest.dropFirst(2)
        while let word = rest.first {
            if let family = family(word) {
                families.insert(family)
                rest = rest.dropFirst()
                continue
            }
            let length = Segment.ownLength(rest)
            if length == 0 { break }
            kept += rest.prefix(length)
            rest = rest.dropFirst(length)
        }
        return ((kept + rest)[...], families)
    }

    private static func family(_ word: Word) -> Family? {
        switch word.value {
        case "-4", "--ipv4": .ipv4
        case "-6", "--ipv6": .ipv6
        default: nil
        }
    }
}
