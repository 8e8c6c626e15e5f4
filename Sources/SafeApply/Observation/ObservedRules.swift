import Netfilter

/// A plan's rules in a form that counts and logs what they would drop, and drops nothing.
///
/// They come first, and all packets go on to the rules that decide now. Their limits count by themselves.
enum ObservedRules {
    /// The comment of the rule that leads to them.
    static let comment = "\(Rule.ownershipPrefix)observed"
    /// The prefix of the comments of rules that count what would be dropped.
    static let dropPrefix = "\(Rule.ownershipPrefix)would "
    /// What the rules that count drops log, a few a minute, as in the rule templates.
    private static let logRate = Match.Rate(5, per: .minute)

    private static let jump = "INPUT -m comment --comment \"\(comment)\" -j \(TemporaryParts.observedChain)"

    // MARK: - iptables

    /// The input for iptables-restore that loads a plan's rules, or loads them again.
    ///
    /// - Parameters:
    ///   - plan: the rules of one family.
    ///   - live: the active rules.
    /// - Returns: the input; the table is not flushed.
    static func loading(_ plan: RuleSet, over live: RuleSet) -> String {
        let isLed = live["filter"]?.rules(in: "INPUT").contains { $0.jumpsTo == TemporaryParts.observedChain } ?? false
        // The line with the chain empties a chain that is there.
        let lines =
            ["*filter", ":\(TemporaryParts.observedChain) - \(Counters.zero.text)"] + rules(plan).map(\.text)
            + (isLed ? [] : ["-I \(jump)"]) + ["COMMIT"]
        return lines.map { "\($0)\n" }.joined()
    }

    /// The input for iptables-restore that removes them; "" if there are none.
    static func removal(from live: RuleSet) -> String {
        guard let filter = live["filter"], filter.chain(TemporaryParts.observedChain) != nil else { return "" }
        let led = filter.rules(in: "INPUT").filter { $0.jumpsTo == TemporaryParts.observedChain }
        let lines =
            ["*filter"] + led.map { _ in "-D \(jump)" }
            + ["-F \(TemporaryParts.observedChain)", "-X \(TemporaryParts.observedChain)", "COMMIT"]
        return lines.map { "\($0)\n" }.joined()
    }

    /// The rules of the chain.
    static func rules(_ plan: RuleSet) -> [Rule] {
        let filter = plan["filter"]
        var rules: [Rule] = []
        var planned = filter?.rules(in: "INPUT") ?? []
        if filter?.chain("INPUT")?.policy == .drop {
            planned.append(Rule("INPUT", [.comment("\(Rule.ownershipPrefix)drop all else")], target: .drop))
        }
        for rule in planned {
            let isLogged = rules.last.map { $0.isLog && conditions($0) == conditions(rule) } ?? false
            if rule.target == .drop, !isLogged {
                rules.append(
                    Rule(
                        TemporaryParts.observedChain,
                        conditions(rule) + [
                            .limit(logRate, burst: 10), .comment("\(Rule.ownershipPrefix)log"),
                        ], target: .log(prefix: LoggedPacket.observedPrefix)))
            }
            rules.append(observed(rule))
        }
        return rules
    }

    private static func observed(_ rule: Rule) -> Rule {
        var observed = rule
        observed.chain = TemporaryParts.observedChain
        observed.counters = nil
        observed.matches = rule.matches.map(counting)
        switch rule.target {
        case .accept: observed.target = .return
        case .drop:
            observed.target = .return
            observed.matches = observed.matches.map { match in
                guard case .comment(let text) = match, text.hasPrefix(Rule.ownershipPrefix) else { return match }
                return .comment(dropPrefix + text.dropFirst(Rule.ownershipPrefix.count))
            }
        case .log(_, let level): observed.target = .log(prefix: LoggedPacket.observedPrefix, level: level)
        default: break
        }
        return observed
    }

    /// The conditions that a rule has in common with the rule that logs its packets.
    private static func conditions(_ rule: Rule) -> [Match] {
        rule.matches.filter { match in
            switch match {
            case .comment, .limit: false
            default: true
            }
        }
    }

    /// A limit with counts of its own: the active rules may have the same limit.
    private static func counting(_ match: Match) -> Match {
        guard case .unknown(let words) = match, words.contains(where: { $0.value == "--hashlimit-name" }) else {
            return match
        }
        var previous = ""
        return .unknown(
            words.map { word in
                defer { previous = word.value }
                return previous == "--hashlimit-name" ? Word("observed-\(word.value)") : word
            })
    }

    // MARK: - nftables

    /// A plan's table as a table of its own, ahead of the others.
    static func table(_ plan: NFTable) -> NFTable {
        let parts = plan.parts.filter { $0.kind != "chain" || observedChains.contains($0.name) }.map { part in
            part.kind == "chain" ? chain(part) : part
        }
        return NFTable(TemporaryParts.observedTable, parts: parts)
    }

    /// The chains of a plan that are about this server itself; what is forwarded is not observed.
    private static let observedChains = ["input", "ipv6-control"]

    private static func chain(_ part: NFTable.Part) -> NFTable.Part {
        var lines: [String] = []
        for line in part.lines {
            if line.hasPrefix("type filter hook input") {
                lines.append("type filter hook input priority filter - 5; policy accept;")
                continue
            }
            let parts = line.split(separator: " counter drop comment \"\(Rule.ownershipPrefix)", maxSplits: 1)
            guard parts.count == 2 else {
                lines.append(
                    line.replacing(
                        "log prefix \"\(LoggedPacket.dropPrefix)\"",
                        with: "log prefix \"\(LoggedPacket.observedPrefix)\""))
                continue
            }
            if lines.last?.contains(" log prefix ") != true {
                lines.append(
                    "\(parts[0]) limit rate 5/minute burst 10 packets log prefix \"\(LoggedPacket.observedPrefix)\" "
                        + "comment \"\(Rule.ownershipPrefix)log\"")
            }
            lines.append("\(parts[0]) counter accept comment \"\(dropPrefix)\(parts[1])")
        }
        return NFTable.Part(part.kind, part.name, lines: lines)
    }

    // MARK: - Counters

    /// How many packets would have been dropped, from the listing of the table.
    static func dropped(in listing: String) -> UInt64 {
        listing.split(separator: "\n").filter { $0.contains("comment \"\(dropPrefix)") }.reduce(0) { sum, line in
            let words = line.split(separator: " ")
            let place = words.firstIndex(of: "packets").map { $0 + 1 }
            return sum + (place.flatMap { $0 < words.count ? UInt64(words[$0]) : nil } ?? 0)
        }
    }

    /// The same, from the active rules of iptables.
    static func dropped(in live: RuleSet) -> UInt64 {
        (live["filter"]?.rules(in: TemporaryParts.observedChain) ?? []).reduce(0) { sum, rule in
            sum + (rule.comment?.hasPrefix(dropPrefix) == true ? rule.counters?.packets ?? 0 : 0)
        }
    }
}

extension Rule {
    fileprivate var isLog: Bool { if case .log = target { true } else { false } }
}
