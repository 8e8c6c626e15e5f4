/// One rule: the chain it stands in, what a packet must be, and what becomes of it.
package struct Rule: Hashable, Sendable {
    /// What the comment of every rule of latchkey's begins with.
    package static let ownershipPrefix = "latchkey: "

    /// The chain that the rule stands in.
    package var chain: String
    /// The rule's counters, where the dump has them.
    package var counters: Counters?
    /// What a packet must be, in the order written.
    package var matches: [Match]
    /// What becomes of the packet; nil for a rule that only counts.
    package var target: Target?

    /// A rule of the given parts.
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
    package var isOwned: Bool { comment?.hasPrefix(Self.ownershipPrefix) ?? false }

    /// The chain that the rule jumps or goes to; nil for verdicts and extensions.
    package var jumpsTo: String? { target?.chain }

    /// The rule after its chain: `-s 192.168.1.33/32 -j ACCEPT`.
    package var body: String {
        (matches.map(\.text) + (target.map { [$0.text] } ?? [])).joined(separator: " ")
    }

    /// The rule as iptables-save prints it, with its counters if it has them.
    package var text: String {
        let line = body.isEmpty ? "-A \(chain)" : "-A \(chain) \(body)"
        return counters.map { "\($0.text) \(line)" } ?? line
    }

    /// Whether iptables-restore makes of the rule's line what iptables-save printed it for.
    ///
    /// Not so for a line end in a comment, a quote in the middle of a name, and what is longer than it takes.
    package var isRestorable: Bool {
        let line = DumpText.bytes(text)
        let words = Word.splitPrinted(text.utf8).words
        let names = zip(words, words.dropFirst()).filter { ["-A", "-j", "-g"].contains($0.0.value) }.map(\.1.value)
        return line.count <= RuleSet.longestLine && !line.contains(Ascii.newline) && Word.split(text.utf8) == words
            && names.allSatisfy { DumpText.bytes($0).count <= Chain.longestName }
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

    /// A rule from the words after its chain; nil, with the option, when an option lacks its value.
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
