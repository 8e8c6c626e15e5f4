import Host
import Netfilter

/// A rule in the kernel and how many packets it has counted, whatever the backend.
package struct CountedRule: Hashable, Sendable {
    /// What a rule does with a packet that matches.
    package enum Verdict: Hashable, Sendable {
        case accept, drop, reject
        case jump(String)
        case goto(String)
        /// The packet continues where it came from.
        case `return`
        /// Anything else: the packet continues, or more than one thing may happen.
        case other
    }

    /// How a listing shows a rule.
    private enum Source: Hashable {
        /// As iptables-save prints it; made into text when it is asked for.
        case iptables(Rule)
        /// As nft prints it, which the kernel knows by a number.
        case nft(String, handle: Int?)
    }

    /// The table: `filter`, `inet latchkey`.
    package let table: String
    /// The chain.
    package let chain: String
    private let source: Source
    /// How many packets it has counted; nil if it does not count.
    package var packets: UInt64?
    /// What it does with a packet that matches.
    package private(set) var verdict: Verdict
    /// Its comment.
    package let comment: String?
    /// Whether it is latchkey's own.
    package let isOwned: Bool
    /// Whether it accepts packets of a known conversation.
    let isForReplies: Bool
    /// The types of ICMPv6 that the rule is for, where they also occur besides every test: neighbours, routers, multicast
    /// listeners.
    let unaskedTypes: [UInt8]?
    /// The chains of its table to which it may send a packet.
    let targets: [String]

    /// A rule of a table of nf_tables.
    ///
    /// - Parameters:
    ///   - table: the table with its family, such as `inet latchkey`.
    ///   - chain: the chain.
    ///   - text: the rule as nft lists it, without the numbers of its counter.
    ///   - verdict: what it does with a packet that matches.
    ///   - packets: how many packets it has counted; nil if it does not count.
    ///   - comment: its comment.
    ///   - handle: the number by which the kernel knows it.
    ///   - isForReplies: whether it accepts packets of a known conversation.
    ///   - types: the types of ICMPv6 that it names.
    ///   - branches: the chains of its table to which a map in it may send a packet.
    package init(
        table: String, chain: String, text: String, verdict: Verdict, packets: UInt64? = nil, comment: String? = nil,
        handle: Int? = nil, isForReplies: Bool = false, types: [UInt8] = [], branches: [String] = []
    ) {
        self.table = table
        self.chain = chain
        source = .nft(text, handle: handle)
        self.packets = packets
        self.verdict = verdict
        self.comment = comment
        isOwned = table == NFTable.Name.latchkey.description || comment?.hasPrefix(Rule.ownershipPrefix) ?? false
        self.isForReplies = isForReplies
        unaskedTypes = Self.unasked(types)
        targets = [verdict.chain].compactMap(\.self) + branches
    }

    /// A rule of iptables.
    ///
    /// - Parameters:
    ///   - rule: the rule with its counters.
    ///   - table: the table, such as `filter`.
    package init(_ rule: Rule, table: String) {
        self.table = table
        chain = rule.chain
        source = .iptables(rule.withoutCounters)
        packets = rule.counters?.packets
        verdict =
            switch rule.target {
            case .accept: .accept
            case .drop: .drop
            case .reject: .reject
            case .goto(let chain): .goto(chain)
            case .jump, .unknown: rule.jumpsTo.map { .jump($0) } ?? .other
            case .return: .return
            case .log, nil: .other
            }
        comment = rule.comment
        isOwned = rule.isOwned
        isForReplies = rule.isForReplies
        unaskedTypes = rule.unaskedTypes
        targets = [rule.jumpsTo].compactMap(\.self)
    }

    /// The rule as the backend's own listing shows it, without counters.
    package var text: String {
        switch source {
        case .iptables(let rule): rule.text
        case .nft(let text, _): text
        }
    }

    /// The rule with its table, for messages: as iptables-save prints it, or behind the names of table and chain.
    package var fullText: String {
        switch source {
        case .iptables(let rule): table == "filter" ? rule.text : "-t \(table) \(rule.text)"
        case .nft(let text, _): "\(NFTPlace(table: table, chain: chain)): \(text)"
        }
    }

    /// The rule in a list of rules: as iptables-save prints it, or behind the names of table and chain.
    package var listedText: String { place == nil ? text : fullText }

    /// The chain of nf_tables that holds it; nil for a rule of iptables.
    package var place: NFTPlace? {
        if case .nft = source { NFTPlace(table: table, chain: chain) } else { nil }
    }

    /// The same rule without its counter.
    package var withoutCounter: CountedRule {
        var rule = self
        rule.packets = nil
        return rule
    }

    /// The rule as it decides about packets on a way: latchkey's rules about published ports return what the answers
    /// allow.
    func on(_ path: PacketPath) -> CountedRule {
        guard path == .forwarded, isOwned, verdict == .return else { return self }
        var rule = self
        rule.verdict = .accept
        return rule
    }

    /// Whether it decides about a packet that matches.
    var isFinal: Bool { [.accept, .drop, .reject].contains(verdict) }
}

extension CountedRule.Verdict {
    /// The chain that a matching packet goes to, if it goes to one.
    var chain: String? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        case .accept, .drop, .reject, .return, .other: nil
        }
    }
}

/// A chain of a table of nf_tables, as messages name it.
package struct NFTPlace: Hashable, Sendable, CustomStringConvertible {
    /// The table with its family, such as `inet firewalld`.
    package let table: String
    /// The chain.
    package let chain: String

    /// A chain by its names.
    package init(table: String, chain: String) {
        self.table = table
        self.chain = chain
    }

    /// `table inet firewalld, chain filter_INPUT`.
    package var description: String { "table \(table), chain \(chain)" }
}

extension Rule {
    /// Whether the rule accepts packets of a known conversation.
    fileprivate var isForReplies: Bool {
        matches.contains { match in
            if case .conntrack(let states, false) = match { states.contains(.established) } else { false }
        }
    }

    /// The types of ICMPv6 that the rule is for, where they are such as go on unasked.
    fileprivate var unaskedTypes: [UInt8]? {
        let types = matches.compactMap { match -> UInt8? in
            if case .icmpv6(let type, _) = match { type } else { nil }
        }
        return CountedRule.unasked(types)
    }
}

extension CountedRule {
    /// Types of ICMPv6, if some of them occur besides every test; else nil.
    static func unasked(_ types: [UInt8]) -> [UInt8]? {
        types.contains { (130...136).contains($0) || $0 == 143 } ? types : nil
    }
}
