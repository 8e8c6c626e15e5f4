extension Table {
    /// The table with one chain as listed by `iptables -v -S CHAIN`, and its other chains unchanged.
    ///
    /// Much faster than a dump if the table contains thousands of rules: only the chain's own are printed.
    ///
    /// - Parameters:
    ///   - chain: the chain's name.
    ///   - listing: the output of iptables.
    /// - Returns: nil if the text is not such a listing.
    package func replacing(_ chain: String, listing: String) -> Table? {
        var policy: ChainPolicy?
        var counters = Counters.zero
        var lines: [String] = []
        for line in listing.split(separator: "\n") {
            guard let words = Word.splitCounted(String(line)) else { return nil }
            switch words.command {
            case "-P":
                policy = words.rest.dropFirst().first.flatMap { ChainPolicy(rawValue: $0.value) }
                counters = words.counters ?? .zero
            case "-N": break
            case "-A":
                lines.append((words.counters.map { "\($0.text) " } ?? "") + "-A " + words.rest.spelled)
            default: return nil
            }
        }
        let text = "*\(name)\n\(lines.map { $0 + "\n" }.joined())COMMIT\n"
        guard let read = try? RuleSet(dumped: text, file: "listing")[name] else { return nil }
        let others = entries.filter { entry in
            switch entry.statement {
            case .chain(let known): known.name != chain
            case .rule(let rule): rule.chain != chain
            case .command, .note: true
            }
        }
        return Table(
            name, entries: [Entry(.chain(Chain(chain, policy: policy, counters: counters)))] + others + read.entries)
    }
}

extension Word {
    /// A line of `iptables -v -S`: the command, its words without the counters, and the counters (`-c PACKETS BYTES`,
    /// after the conditions and before the target).
    fileprivate static func splitCounted(
        _ line: String
    ) -> (command: String, rest: [Word], counters: Counters?)? {
        var words = splitPrinted(Array(line.utf8)[...])
        guard let command = words.first?.value else { return nil }
        words.removeFirst()
        for place in words.indices.reversed() where words[place].value == "-c" && place + 2 < words.count {
            let isLast = place + 3 == words.count || ["-j", "-g"].contains(words[place + 3].value)
            guard isLast, let packets = UInt64(words[place + 1].value), let bytes = UInt64(words[place + 2].value)
            else {
                continue
            }
            words.removeSubrange(place...place + 2)
            return (command, words, Counters(packets: packets, bytes: bytes))
        }
        return (command, words, nil)
    }
}
