/// One rule: its chain, the conditions for a packet, and what happens to the packet.
package struct Rule: Hashable, Sendable {
    /// The prefix of the comment of every latchkey rule.
    package static let ownershipPrefix = "latchkey: "

    /// The chain of the rule.
    package var chain: String
    /// The rule's counters, if the dump has them.
    package var counters: Counters?
    /// The conditions, in the order written.
    package var matches: [Match]
    /// What happens to the packet; nil for a rule that only counts.
    package var target: Target?

    /// A rule with the given parts.
    package init(_ chain: String, _ matches: [Match] = [], target: Target? = nil, counters: Counters? = nil) {
        self.chain = chain
        self.counters = counters
        self.matches = matches
        self.target = target
    }

    /// The first comment of the rule.
    package var comment: String? {
        for case .comment(let text) in matches { return text }
        return nil
    }

    /// Whether the rule is latchkey's own, by its comment.
    ///
    /// The rules of temporary entries are not: no change may alter them.
    package var isOwned: Bool { comment?.hasPrefix(Self.ownershipPrefix) ?? false && !isTemporary }

    /// The chain that the rule jumps or goes to; nil for verdicts and extensions.
    package var jumpsTo: String? { target?.chain }

    /// The rule after its chain: `-s 192.168.1.33/32 -j ACCEPT`.
    package var body: String {
        var text = ""
        writeBody(to: &text)
        // Each part was written after a space.
        return String(text.dropFirst())
    }

    /// The rule as iptables-save prints it, with its counters if it has them.
    package var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    /// Writes the rule as iptables-save prints it.
    func write(to text: inout String) {
        if let counters {
            text += counters.text
            text += " "
        }
        text += "-A "
        text += chain
        writeBody(to: &text)
    }

    /// Writes the conditions and the target, each after a space.
    private func writeBody(to text: inout String) {
        for match in matches {
            text += " "
            match.write(to: &text)
        }
        guard let target else { return }
        text += " "
        target.write(to: &text)
    }

    /// Whether iptables-restore interprets the rule's line as the rule that iptables-save printed.
    ///
    /// Not for a line end in a comment, a quotation mark inside a name, and lines that are too long for it.
    package var isRestorable: Bool {
        let text = text
        let line = DumpText.bytes(text)
        guard line.count <= RuleSet.longestLine, !line.contains(Ascii.newline) else { return false }
        let written = Array(text.utf8)
        let words = Word.splitPrinted(written[...])
        // Without a quotation mark there is only one way to split the line.
        guard !written.contains(Ascii.quote) || Word.split(written[...]) == words else { return false }
        return words.indices.dropLast().allSatisfy { index in
            switch words[index].value {
            case "-A", "-j", "-g": DumpText.bytes(words[index + 1].value).count <= Chain.longestName
            default: true
            }
        }
    }

    /// The same rule without its counters.
    package var withoutCounters: Rule { Rule(chain, matches, target: target) }
}

extension Rule {
    /// A rule from one line in iptables-save's form: `-A INPUT -i lo -j ACCEPT`.
    package init(parsing line: String) throws(RuleSetError) {
        let set = try RuleSet(parsing: "*filter\n\(line)\nCOMMIT\n", file: "rule")
        guard let rule = set["filter"]?.rules.first, set["filter"]?.entries.count == 1 else {
            throw RuleSetError(file: "rule", line: 1, text: line, problem: .unknownCommand)
        }
        self = rule
    }

    /// A rule from the words after its chain; nil, with the option, if an option lacks its value.
    init(chain: String, counters: Counters?, words: ArraySlice<Word>) throws(MissingValue) {
        self.init(chain, counters: counters)
        for segment in try Segment.split(words) {
            switch segment.kind {
            case .target: target = Target(reading: segment.words)
            case .match: matches.append(Match(reading: segment.words))
            }
        }
    }
}
