import Host
import Netfilter
import SafeApply

/// Rules of firewall managers that are no longer active, or no longer installed: nothing loads them again, but until then
/// they decide.
///
/// A manager that does not name its chains or tables leaves rules that belong to no known program.
struct LeftoverRules: Sendable {
    /// The managers that own them, by name.
    let owners: [String]

    /// The managers whose chains or tables have names of their own.
    private static let named: Set = ["csf", "firewalld", "shorewall", "ufw"]

    /// Finds them.
    ///
    /// - Parameters:
    ///   - live: the active rules.
    ///   - facts: where facts about the machine are read.
    init(_ live: LiveFirewall, _ facts: FactSource) {
        let active = Set(OtherFirewalls(facts).inTheWay().map(\.name))
        var owners = Set(live.tables.map(\.id.name)).intersection(["firewalld"])
        for table in live.rules.flatMap({ $0.rules.present.flatMap(\.value.tables) }) {
            owners.formUnion(Self.owners(of: table))
        }
        self.owners = owners.intersection(Self.named).subtracting(active).sorted()
    }

    /// The owners of the chains with a rule that does more than to lead to another chain: ufw leaves empty ones.
    private static func owners(of table: Table) -> Set<String> {
        let chains = Set(table.chains.filter { $0.policy == nil }.map(\.name))
        let deciding = table.rules.filter { rule in
            chains.contains(rule.chain) && !(rule.jumpsTo.map(chains.contains) ?? false)
        }
        return Set(
            deciding.compactMap { rule in
                // Shorewall has one chain of this name, whatever its zones are called.
                rule.chain == "shorewall" ? "shorewall" : KnownFirewall.owner(ofChain: rule.chain)
            })
    }

    /// What a manager's leftovers mean.
    static let meaning = "It is not active, but its rules are still loaded, ahead of latchkey's, until the next boot."

    /// What to do about them.
    static let remedy =
        "Reboot, or apply your answers with \"existing: replace\", which removes all rules of iptables."

    /// One note for each manager.
    var notes: [String] { owners.map { "Only leftovers of \($0): \(Self.meaning) \(Self.remedy)" } }
}
