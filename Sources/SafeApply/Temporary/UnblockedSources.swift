import Netfilter

/// The sources that no temporary entry blocks: the admins of the answers.
package struct UnblockedSources: Sendable, Equatable {
    /// The networks; none is inside another.
    package let networks: [CIDR]
    /// The interfaces through which they come in.
    package let interfaces: [InterfaceName]

    /// Sources that are not blocked; none of the networks may be inside another.
    package init(_ networks: [CIDR] = [], interfaces: [InterfaceName] = []) {
        self.networks = networks
        self.interfaces = Set(interfaces).sorted()
    }
}
