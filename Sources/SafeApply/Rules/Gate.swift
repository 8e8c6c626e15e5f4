import Host
import Netfilter

/// What makes a gate close by itself if it is not renewed.
package enum GateKind: String, Codable, Sendable, CaseIterable {
    /// A list of the `recent` match: the kernel counts the seconds since the last write.
    case recent
    /// An ipset whose elements have a timeout.
    case set
    /// An nftables set whose elements have a timeout.
    case timeout
    /// Nothing: only the guard closes it, by removing the rule.
    case none
}

/// The condition of the rules that lead into the trial, in one family.
struct Gate: Sendable, Equatable {
    /// Its kind.
    let kind: GateKind
    /// The family of its packets.
    let family: Family
    /// How many seconds it stays open after a renewal.
    let seconds: Int

    /// The usual value of `seconds`, for gates that a guard renews.
    ///
    /// Together with the 8 s after which a guard counts as hung, the previous rules are active again within 20 s of the
    /// guard's end.
    static let usualSeconds = 10
    /// The comment of every gate.
    static let comment = "\(Rule.ownershipPrefix)trial"

    init(_ kind: GateKind, _ family: Family, seconds: Int = Gate.usualSeconds) {
        self.kind = kind
        self.family = family
        self.seconds = seconds
    }

    /// The name of the set, and of the list for the gate in filter INPUT.
    var name: String { family == .ipv4 ? "latchkey4" : "latchkey6" }

    /// The name of a gate's list: each gate has its own, because a list exists only while its rule does.
    func listName(table: String, chain: String) -> String {
        table == "filter" && chain == "INPUT" ? name : "\(name)-\(table)-\(chain)"
    }

    /// The address and mask that match every source.
    var anyAddress: String { family == .ipv4 ? "0.0.0.0" : "::" }

    /// The two halves of the address space, because hash:net takes no prefix of length 0 (ipset(8)).
    var halves: [String] { family == .ipv4 ? ["0.0.0.0/1", "128.0.0.0/1"] : ["::/1", "8000::/1"] }

    /// The conditions of the gate of a chain, as iptables-save prints them.
    func matches(table: String, chain: String) -> [Match] {
        let condition: [Match] =
            switch kind {
            case .recent:
                [
                    .words([
                        "-m", "recent", "--rcheck", "--seconds", "\(seconds)", "--name",
                        listName(table: table, chain: chain), "--mask", anyAddress, "--rsource",
                    ])
                ]
            case .set: [.words(["-m", "set", "--match-set", name, "src"])]
            case .timeout, .none: []
            }
        return condition + [.comment(Self.comment)]
    }

    /// The ipset command that creates its set; nil if it needs none.
    var setLine: String? {
        guard kind == .set else { return nil }
        return "create \(name) hash:net family \(family == .ipv4 ? "inet" : "inet6") timeout \(seconds)\n"
    }
}

extension Rule {
    /// Whether it leads into a trial.
    var isGate: Bool { comment == Gate.comment }
}
