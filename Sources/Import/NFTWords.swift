import Netfilter

/// The words of a line of nft's listings.
enum NFTWords {
    /// Splits a line at blanks; brackets and commas are words of their own, and quoted text keeps its quotes off.
    static func split(_ line: String) -> [String] {
        var words: [String] = []
        var word = ""
        var isQuoted = false
        for character in line {
            if isQuoted {
                if character == "\"" {
                    words.append(word)
                    (word, isQuoted) = ("", false)
                } else {
                    word.append(character)
                }
                continue
            }
            switch character {
            case "\"": isQuoted = true
            case " ", "\t", "{", "}", ",":
                if !word.isEmpty { words.append(word) }
                word = ""
                if character != " ", character != "\t" { words.append(String(character)) }
            default: word.append(character)
            }
        }
        return word.isEmpty ? words : words + [word]
    }
}

/// What a rule of nft compares with: one value, a set, or a map to verdicts.
enum NFTValues {
    case values([String])
    /// Values, each with what happens to a packet that has it.
    case verdicts([(value: String, verdict: FilterVerdict)])

    /// Reads values from the front of words.
    ///
    /// - Parameters:
    ///   - words: the rest of a rule.
    ///   - sets: the elements of the table's named sets and maps.
    /// - Returns: the values; nil if they are not in a form that is understood here.
    static func read(_ words: inout ArraySlice<String>, sets: [String: [String]]) -> NFTValues? {
        let isMap = words.first == "vmap"
        if isMap { words.removeFirst() }
        guard let first = words.popFirst() else { return nil }
        var list: [String]
        if first == "{" {
            list = Array(words.prefix { $0 != "}" })
            words = words.dropFirst(list.count + 1)
        } else if first.hasPrefix("@") {
            guard let elements = sets[String(first.dropFirst())] else { return nil }
            list = elements
        } else {
            // Several states are printed with commas and without brackets.
            list = [first]
            while words.first == ",", words.count > 1 {
                words.removeFirst()
                list += [",", words.removeFirst()]
            }
        }
        let items = list.split(separator: ",").map(Array.init)
        guard isMap else {
            // `timeout 5m expires 3m` and `counter` may follow an element.
            let values = items.compactMap(\.first)
            return items.contains { $0.contains(".") } ? nil : .values(values)
        }
        var verdicts: [(String, FilterVerdict)] = []
        for item in items {
            guard let colon = item.firstIndex(of: ":"), colon == 1, let verdict = verdict(item[(colon + 1)...]) else {
                return nil
            }
            verdicts.append((item[0], verdict))
        }
        return .verdicts(verdicts)
    }

    /// The verdict in words such as `jump input_web`; nil if they are none.
    static func verdict(_ words: ArraySlice<String>) -> FilterVerdict? {
        guard let first = words.first else { return nil }
        switch first {
        case "accept": return .accept
        case "drop", "reject": return .block
        case "return": return .return
        case "continue": return FilterVerdict.none
        case "jump": return words.dropFirst().first.map { .jump($0) }
        case "goto": return words.dropFirst().first.map { .goto($0) }
        default: return nil
        }
    }
}
