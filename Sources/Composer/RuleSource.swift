import Netfilter
import Policy

/// The source of a rule's packets.
enum RuleSource: Hashable, Comparable {
    case anywhere
    case network(CIDR)
    case set(AddressSet)
    /// What comes in through an interface.
    case interface(InterfaceName)

    /// Anywhere first, then networks, then sets by name, then interfaces.
    static func < (left: RuleSource, right: RuleSource) -> Bool {
        switch (left, right) {
        case (.anywhere, .anywhere): false
        case (.anywhere, _): true
        case (_, .anywhere): false
        case (.network(let left), .network(let right)): left < right
        case (.network, .set): true
        case (.set, .network): false
        case (.set(let left), .set(let right)): left.name < right.name
        case (.interface(let left), .interface(let right)): left < right
        case (.interface, _): false
        case (_, .interface): true
        }
    }

    /// `0.0.0.0/0` and `::/0` mean anywhere: iptables-save prints no source for them.
    init(_ network: CIDR) { self = network.isEverything ? .anywhere : .network(network) }

    /// The network as iptables-save prints it.
    var network: String? { if case .network(let network) = self { network.canonical } else { nil } }

    /// The set.
    var set: AddressSet? { if case .set(let set) = self { set } else { nil } }

    /// The interface.
    var interface: InterfaceName? { if case .interface(let interface) = self { interface } else { nil } }

    /// How a comment names it.
    func title(_ family: Family) -> String {
        switch self {
        case .anywhere: family == .ipv4 ? "0.0.0.0/0" : "::/0"
        case .network(let network): network.description
        case .set(let set): "\(set.networks.count) addresses and networks"
        case .interface(let interface): "interface \(interface)"
        }
    }

    /// The sources of a list in one family: a rule for each network, or one for all of them in a set, and one for each
    /// interface.
    ///
    /// - Parameters:
    ///   - list: the addresses and networks.
    ///   - family: the family of the rules.
    ///   - usesSets: whether the kernel has sets.
    /// - Returns: one source per network and interface; a single set for more than `AddressSet.threshold` networks.
    static func all(_ list: AddressList, _ family: Family, usesSets: Bool) -> [RuleSource] {
        let networks = Set(list.all.filter { $0.family == family }).sorted()
        let isSet = usesSets && networks.count > AddressSet.threshold
        return (isSet ? [.set(AddressSet(networks, family))] : networks.map { RuleSource($0) })
            + list.interfaces.sorted().map { .interface($0) }
    }
}
