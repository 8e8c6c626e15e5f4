import Netfilter

/// How many packets latchkey's own rules have counted, by the answer that they come from.
package struct AnswerCounters: Equatable, Sendable {
    /// The packets of one answer.
    package struct Count: Equatable, Sendable {
        /// The answer, as the rules' comments name it: `ssh`, `services web, mail`.
        package let answer: String
        /// Whether the packets were dropped.
        package let isDropped: Bool
        /// The number of packets.
        package var packets: UInt64
        /// Their bytes, with their headers.
        package var bytes: UInt64
    }

    /// The counts, in the order of the rules; rules with the same comment are one answer, in both families,
    /// and so are those of all admins.
    package private(set) var counts: [Count] = []

    /// How many packets were dropped.
    package var dropped: UInt64 { counts.filter(\.isDropped).reduce(0) { $0 &+ $1.packets } }

    /// The counters in rules of iptables.
    ///
    /// With `existing: replace`, no rule drops: the policy of INPUT does, and counts as the rule would.
    ///
    /// - Parameter rules: the rules of each family, with counters.
    package init(_ rules: [RuleSet]) {
        for filter in rules.compactMap({ $0["filter"] }) {
            let owned = filter.rules.filter(\.isOwned)
            for rule in owned {
                guard let comment = rule.comment, let counters = rule.counters else { continue }
                add(comment, isDropped: rule.target == .drop, counters.packets, counters.bytes)
            }
            guard let input = filter.chain("INPUT"), input.policy == .drop,
                owned.contains(where: { $0.chain == "INPUT" }),
                !owned.contains(where: { $0.comment == Self.lastComment })
            else { continue }
            add(Self.lastComment, isDropped: true, input.counters.packets, input.counters.bytes)
        }
    }

    /// The counters in latchkey's table of nftables.
    ///
    /// - Parameter json: what `nft -j list ruleset` prints.
    /// - Throws: `DecodingError`.
    package init(nftables json: [UInt8]) throws {
        for rule in try NFTListing(json).nftables.compactMap(\.rule) {
            guard NFTable.Name(rule.family, rule.table) == .latchkey, let comment = rule.comment,
                comment.hasPrefix(Rule.ownershipPrefix), let packets = rule.packets
            else { continue }
            add(comment, isDropped: rule.verdict == .drop, packets, rule.bytes ?? 0)
        }
    }

    /// The comment of the rule that drops what no rule allows.
    private static let lastComment = "latchkey: drop all else"
    /// The comment of rules that only write to the log.
    private static let logComment = "latchkey: log"

    private mutating func add(_ comment: String, isDropped: Bool, _ packets: UInt64, _ bytes: UInt64) {
        guard comment != Self.logComment else { return }
        // A limit is no part of the answer's name.
        let title = comment.dropFirst(Rule.ownershipPrefix.count)
        var answer = String(title.replacing(#/, limit \d+\/\d+[smh]$/#, with: ""))
        // With iptables, the rules of admins and of blocked sources are named after the address.
        for whole in ["admins", "block"] {
            for name in [whole, "published ports, \(whole)"] where answer.hasPrefix("\(name) ") { answer = name }
        }
        if let index = counts.firstIndex(where: { $0.answer == answer && $0.isDropped == isDropped }) {
            counts[index].packets &+= packets
            counts[index].bytes &+= bytes
        } else {
            counts.append(Count(answer: answer, isDropped: isDropped, packets: packets, bytes: bytes))
        }
    }
}

extension NFTListing.Rule {
    /// How many bytes it has counted; nil without a counter.
    fileprivate var bytes: UInt64? { (expr ?? []).lazy.compactMap { $0["counter"]?["bytes"]?.count }.first }
}
