import Host
import Netfilter

/// Temporary entries on nftables: a chain and sets in latchkey's own table, because accepting elsewhere would not open.
struct NFTablesTemporaryRules: TemporaryBackend {
    private let kernel: LiveTables
    private static let table = NFTable.Name.latchkey

    /// The parts of latchkey's own table.
    ///
    /// - Parameter kernel: nft(8).
    init(_ kernel: LiveTables) { self.kernel = kernel }

    func elements() async throws(ChangeError) -> [TemporaryElement] {
        guard let table = try await kernel.readWithoutElements(Self.table) else { return [] }
        var found: [TemporaryElement] = []
        for set in Self.sets(of: table) {
            let listing = try await kernel.listAsJSON(set: set.name, of: Self.table)
            guard let listed = JSONText.decode(TemporarySetListing.self, from: listing) else {
                throw .refused(reason: "nft's listing of the set \(set.name) cannot be parsed.")
            }
            found += listed.elements(of: set)
        }
        return found
    }

    private static func sets(of table: NFTable) -> [TemporarySet] {
        table.parts.filter { $0.kind == "set" }.compactMap { TemporarySet(named: $0.name) }
    }

    /// The chain that decides about incoming packets.
    private static func input(of table: NFTable?) -> NFTable.Part? { table?.chains.first(where: \.isInput) }

    /// Whether the rule that leads to the chain is ahead of all others but an emergency opening.
    private static func isActive(_ table: NFTable?) -> Bool {
        guard let table, let input = input(of: table), let place = table.placeOfTemporaryJump(in: input.name),
            table.part("chain", TemporaryParts.tableChain) != nil
        else { return false }
        return input.rules[..<place].allSatisfy { rule in
            rule.contains("emergency opening") || rule == TemporaryParts.tableJump
        }
    }

    func isActive(_ family: Family) async throws(ChangeError) -> Bool {
        Self.isActive(try await kernel.readWithoutElements(Self.table))
    }

    func unblockedInterfaces(_ family: Family) async throws(ChangeError) -> [InterfaceName] {
        let live = try await kernel.readWithoutElements(Self.table)
        return live?.part("chain", TemporaryParts.tableChain)?.rules.compactMap(Self.adminInterface) ?? []
    }

    /// The rule about an interface of admins.
    private static func returning(_ interface: InterfaceName) -> String { "iifname \"\(interface)\" return" }

    /// The interface of the admins that a rule is about; nil for other rules.
    private static func adminInterface(_ rule: String) -> InterfaceName? {
        let words = rule.split(separator: "\"")
        guard words.count == 3, let interface = try? InterfaceName(parsing: String(words[1])),
            rule == returning(interface)
        else { return nil }
        return interface
    }

    func edit(
        adding added: [TemporaryElement], removing removed: [TemporaryElement], admins: UnblockedSources
    ) async throws(ChangeError) {
        // Added first, because deleting an element that has just ended would fail.
        let removal = Self.command("add", removed) + Self.command("delete", removed)
        guard !added.isEmpty else { return try await kernel.load(removal) }
        let live = try await kernel.readWithoutElements(Self.table)
        guard let live, let input = Self.input(of: live) else {
            throw .refused(
                reason:
                    "There is no table \(Self.table) with a chain for incoming packets, in which alone an entry could "
                    + "open anything. Apply the answers again: sudo latchkey apply.")
        }
        // What has no elements any more goes.
        let known = Set(Self.sets(of: live))
        let used = Set((try await elements() + added).map(TemporarySet.init))
        var text = used.subtracting(known).sorted { $0.name < $1.name }.map(\.creation).joined()
        text += Self.chain(used, live: live, admins: admins)
        text += known.subtracting(used).sorted { $0.name < $1.name }.map { "delete set \(Self.table) \($0.name)\n" }
            .joined()
        if !Self.isActive(live) {
            text += "insert rule \(Self.table) \(input.name) \(TemporaryParts.tableJump)\n"
        }
        // Deleted before, because before Linux 6.12 adding an element again does not change its time.
        text += removal
        text += Self.command("add", added) + Self.command("delete", added) + Self.command("add", added, isTimed: true)
        try await kernel.load(text)
    }

    /// The commands that fill the chain.
    private static func chain(_ sets: Set<TemporarySet>, live: NFTable, admins: UnblockedSources) -> String {
        var text = "add chain \(table) \(TemporaryParts.tableChain)\n"
        text += "flush chain \(table) \(TemporaryParts.tableChain)\n"
        var returns: [String] = []
        for family in Family.allCases {
            let name = "\(TemporaryParts.tableSetPrefix)admins-\(family.rawValue)"
            let own = admins.networks.filter { $0.family == family }
            if live.part("set", name) != nil { text += "flush set \(table) \(name)\n" }
            guard !own.isEmpty else { continue }
            text +=
                "add set \(table) \(name) { type \(family == .ipv4 ? "ipv4_addr" : "ipv6_addr"); flags interval; }\n"
            text += "add element \(table) \(name) { \(own.map(\.description).joined(separator: ", ")) }\n"
            returns.append("\(family == .ipv4 ? "ip" : "ip6") saddr @\(name) return")
        }
        returns += admins.interfaces.map(returning)
        // Of networks inside each other it does not matter which is looked up first.
        let lookUps = sets.sorted { ($0.list.place.0, $0.name) < ($1.list.place.0, $1.name) }
        let all =
            [
                "ct state established,related return", "iif \"lo\" return",
                // What the addresses of neighbours need (RFC 4861).
                "icmpv6 type { 133, 134, 135, 136 } ip6 hoplimit 255 return",
            ] + lookUps.filter { $0.list != .block }.map { $0.rule } + returns
            + lookUps.filter { $0.list == .block }.map { $0.rule }
        return text + all.map { "add rule \(table) \(TemporaryParts.tableChain) \($0)\n" }.joined()
    }

    /// The commands that add or delete elements.
    private static func command(_ verb: String, _ elements: [TemporaryElement], isTimed: Bool = false) -> String {
        Dictionary(grouping: elements, by: TemporarySet.init).sorted { $0.key.name < $1.key.name }.map {
            set, elements in
            let keys = elements.map { element in
                let time = element.secondsLeft.map { " timeout \($0)s" } ?? ""
                return "\(element.source.address)" + (isTimed ? "\(time) comment \"\(element.label)\"" : "")
            }
            return "\(verb) element \(table) \(set.name) { \(keys.joined(separator: ", ")) }\n"
        }.joined()
    }

    func removeAll() async throws(ChangeError) {
        guard let handles = try await kernel.readHandles(Self.table) else { return }
        var lines: [String] = []
        for chain in handles.chains where chain.hook != nil {
            for rule in chain.rules where rule.hasPrefix(TemporaryParts.tableJump) {
                guard let handle = rule.split(separator: " ").last else { continue }
                lines.append("delete rule \(Self.table) \(chain.name) handle \(handle)")
            }
        }
        let own = handles.parts.filter(\.isTemporary)
        let chains = own.filter { $0.kind == "chain" }.map(\.name)
        lines += chains.map { "flush chain \(Self.table) \($0)" } + chains.map { "delete chain \(Self.table) \($0)" }
        lines += own.filter { $0.kind == "set" }.map { "delete set \(Self.table) \($0.name)" }
        try await kernel.load(lines.map { "\($0)\n" }.joined())
    }
}
