import Host
import Netfilter
import Policy
import SafeApply

/// Rules of firewall managers that are no longer active, or no longer installed: nothing loads them again, but until the
/// next boot they still decide about packets.
///
/// A manager that does not name its chains or tables leaves rules that belong to no known program.
struct LeftoverRules: Sendable {
    /// What one manager has left.
    struct Leftover: Sendable, Equatable {
        /// The manager's name.
        let owner: String
        /// Whether it has left rules in the tables `filter` or `nat` of iptables.
        let hasChains: Bool
        /// The tables of nftables that it has left.
        let tables: [NFTable.Name]
    }

    /// The leftovers, by the manager's name.
    let all: [Leftover]
    /// Whether a change can remove rules of iptables.
    private let canReplace: Bool

    /// Finds them.
    ///
    /// - Parameters:
    ///   - live: the active rules.
    ///   - facts: where facts about the machine are read.
    ///   - backend: the backend of a change.
    init(_ live: LiveFirewall, _ facts: FactSource, backend: Backend) {
        self.init(
            live.rules.flatMap { $0.rules.present.map(\.value) }, tables: live.tables.map(\.id),
            active: Set(OtherFirewalls(facts).inTheWay().map(\.name)), backend: backend)
    }

    /// Finds them.
    ///
    /// - Parameters:
    ///   - rules: the active rules of iptables.
    ///   - tables: the names of the active tables of nftables.
    ///   - active: the names of the active managers.
    ///   - backend: the backend of a change.
    init(_ rules: [RuleSet], tables: [NFTable.Name], active: Set<String>, backend: Backend) {
        let chains = rules.flatMap(\.tables).filter { ["filter", "nat"].contains($0.name) }
        let owners = chains.map(Self.owners).reduce(Set()) { $0.union($1) }.intersection(Self.named)
        let ownTables = Dictionary(grouping: tables.filter { $0.name == "firewalld" }, by: \.name)
        all = owners.union(ownTables.keys).subtracting(active).sorted().map { owner in
            Leftover(
                owner: owner, hasChains: owners.contains(owner), tables: ownTables[owner, default: []].sorted())
        }
        canReplace = backend != .nftables
    }

    /// The managers whose chains have names of their own.
    private static let named: Set = ["csf", "firewalld", "shorewall", "ufw"]

    /// The owners of the chains that decide about packets.
    private static func owners(of table: Table) -> Set<String> {
        let chains = Set(table.chains.filter { $0.policy == nil }.map(\.name))
        return Set(
            table.rules.filter { chains.contains($0.chain) }.compactMap { rule -> String? in
                // Shorewall has one chain of this name, whatever its zones are called.
                let owner = rule.chain == "shorewall" ? "shorewall" : KnownFirewall.owner(ofChain: rule.chain)
                // When ufw stops, its empty chains stay, with the rules that lead from one to the other.
                let isEmpty = owner == "ufw" && rule.jumpsTo.map(chains.contains) == true
                // Others use names like those of its chains for zones.
                let isLike = owner == "firewalld" && chains.isDisjoint(with: ["INPUT_ZONES", "INPUT_direct"])
                return isEmpty || isLike ? nil : owner
            })
    }

    /// What leftovers mean.
    static let meaning =
        "It is not active, but its rules stay loaded until the next boot, and still decide about packets."

    /// What to do about a manager's leftovers; the server stays closed meanwhile.
    func remedy(_ leftover: Leftover) -> String {
        // The rehearsal includes the leftovers, and they may block what the answers allow.
        let keep =
            "apply and keep your answers (with --no-rehearsal, if they are refused because of these rules), and then"
        if !leftover.hasChains {
            let commands = leftover.tables.map { "sudo nft delete table \($0)" }
            return "First \(keep) run: \(commands.joined(separator: "; "))"
        }
        guard canReplace else { return "First \(keep) reboot." }
        return "Apply your answers with \"existing: replace\", which removes these rules. Or \(keep) reboot."
    }

    /// One note for each manager whose leftovers a change does not remove.
    ///
    /// - Parameter existing: what the change does with existing rules.
    /// - Returns: the notes.
    func notes(_ existing: ExistingRules) -> [String] {
        all.filter { existing == .keep || !$0.tables.isEmpty }.map { leftover in
            "Only leftovers of \(leftover.owner): \(Self.meaning) \(remedy(leftover))"
        }
    }
}
