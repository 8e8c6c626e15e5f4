import Netfilter
import Policy

/// Where packets come from, for a rule of the backend nftables: addresses of one family, or an interface.
struct TableOrigin {
    /// nil for an interface.
    let family: Family?
    /// The networks, sorted; none covers another.
    let networks: [CIDR]
    /// The set that holds them, if there are many.
    let set: AddressSet?
    /// The interface.
    let interface: InterfaceName?

    private init(_ networks: [CIDR], _ family: Family) {
        self.family = family
        self.networks = CIDR.merged(networks)
        set = self.networks.count > AddressSet.threshold ? AddressSet(self.networks, family) : nil
        interface = nil
    }

    private init(_ interface: InterfaceName) {
        family = nil
        networks = []
        set = nil
        self.interface = interface
    }

    /// The origins of a list: one for each family that has addresses in it, and one for each interface.
    static func all(_ list: AddressList, _ families: [Family]) -> [TableOrigin] {
        families.map { family in TableOrigin(list.all.filter { $0.family == family }, family) }
            .filter { !$0.networks.isEmpty } + list.interfaces.sorted().map { TableOrigin($0) }
    }

    /// Whether packets of a family can come from there.
    func isOf(_ family: Family) -> Bool { self.family ?? family == family }

    /// The values for the template.
    var values: [String: RuleTemplateValue] {
        [
            "saddr": TableLayout.value(family.map(Self.saddr)),
            "set": TableLayout.value(set?.name),
            "source": TableLayout.value(set == nil && networks.count == 1 ? networks[0].description : nil),
            "sources": TableLayout.value(
                set == nil && networks.count > 1 ? networks.map(\.description).joined(separator: ", ") : nil),
            "interface": TableLayout.value(interface?.text),
        ]
    }

    /// The values for packets from anywhere.
    static let anywhere: [String: RuleTemplateValue] = [
        "saddr": .flag(false), "set": .flag(false), "source": .flag(false), "sources": .flag(false),
        "interface": .flag(false),
    ]

    /// The source address of a family, for nft(8).
    static func saddr(_ family: Family) -> String { family == .ipv4 ? "ip saddr" : "ip6 saddr" }
}
