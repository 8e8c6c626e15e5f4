import Host
import Netfilter

/// What makes a gate close by itself when nobody renews it.
package enum GateKind: String, Codable, Sendable, CaseIterable {
    /// A list of the match `recent`: the kernel counts the seconds since it was last written to.
    case recent
    /// An ipset whose elements have a timeout.
    case set
    /// A set of nftables whose elements have a timeout.
    case timeout
    /// Nothing: only the guard closes it, by removing the rule.
    case none
}

/// The condition of the rules that lead into the trial, in one family.
struct Gate: Sendable, Equatable {
    /// What it rests on.
    let kind: GateKind
    /// Whose packets.
    let family: Family
    /// For how many seconds it stays open after it was renewed.
    let seconds: Int

    /// How long that is where a guard renews it.
    ///
    /// With the 8 s after which a guard counts as hung, the previous rules decide again within 20 s of its end.
    static let usualSeconds = 10
    /// The comment of every gate.
    static let comment = "\(Rule.ownershipPrefix)trial"

    init(_ kind: GateKind, _ family: Family, seconds: Int = Gate.usualSeconds) {
        self.kind = kind
        self.family = family
        self.seconds = seconds
    }

    /// The name of the set, and of the list of the gate that leads INPUT of filter into the trial.
    var name: String { family == .ipv4 ? "latchkey4" : "latchkey6" }

    /// The name of a gate's list: each has its own, because the kernel shows a list only while its rule is there.
    func listName(table: String, chain: String) -> String {
        table == "filter" && chain == "INPUT" ? name : "\(name)-\(table)-\(chain)"
    }

    /// The address that stands for all: with this mask every source is it.
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

    /// The line of ipset that makes its set; nil where it needs none.
    var setLine: String? {
        guard kind == .set else { return nil }
        return "create \(name) hash:net family \(family == .ipv4 ? "inet" : "inet6") timeout \(seconds)\n"
    }
}

extension Rule {
    /// Whether it leads into a trial of latchkey's.
    var isGate: Bool { comment == Gate.comment }
}
