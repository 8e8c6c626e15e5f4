import Netfilter
import Policy

/// The source of a rule's packets.
enum RuleSource: Hashable, Comparable {
    case anywhere
    case network(CIDR)
    case set(AddressSet)

    /// Anywhere first, then networks, then sets by name.
    static func < (left: RuleSource, right: RuleSource) -> Bool {
        switch (left, right) {
        case (.anywhere, .anywhere): false
        case (.anywhere, _): true
        case (_, .anywhere): false
        case (.network(let left), .network(let right)): left < right
        case (.network, .set): true
        case (.set, .network): false
        case (.set(let left), .set(let right)): left.name < right.name
        }
    }

    /// `0.0.0.0/0` and `::/0` mean anywhere: iptables-save prints no source for them.
    init(_ network: CIDR) { self = network.isEverything ? .anywhere : .network(network) }

    /// The network as iptables-save prints it.
    var network: String? { if case .network(let network) = self { network.canonical } else { nil } }

    /// The set.
    var set: AddressSet? { if case .set(let set) = self { set } else { nil } }

    /// The sources of a list in one family: a rule for each network, or one for all of them in a set.
    ///
    /// - Parameters:
    ///   - list: the addresses and networks.
    ///   - family: the family of the rules.
    ///   - usesSets: whether the kernel has sets.
    /// - Returns: one source per network; a single set for more than `AddressSet.threshold` networks.
    static func all(_ list: AddressList, _ family: Family, usesSets: Bool) -> [RuleSource] {
        let networks = Set(list.all.filter { $0.family == family }).sorted()
        guard usesSets, networks.count > AddressSet.threshold else { return networks.map { RuleSource($0) } }
        return [.set(AddressSet(networks, family))]
    }
}
