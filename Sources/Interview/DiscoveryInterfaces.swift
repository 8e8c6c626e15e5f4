import Netfilter

// The interfaces of the machine.
extension Discovery {
    /// A network that is directly on an interface.
    package struct Network: Equatable, Sendable {
        /// The network.
        package let network: CIDR
        /// The name of the interface.
        package let interface: String

        /// A network on an interface.
        package init(_ network: CIDR, on interface: String) {
            self.network = network
            self.interface = interface
        }
    }

    /// The names of the interfaces, each once, without loopback and without names that answers cannot contain.
    var interfaces: [String] {
        (networks.map(\.interface) + interfaceNames).withoutRepeats.filter { (try? InterfaceName(parsing: $0)) != nil }
    }

    /// The interfaces of VPNs: WireGuard, Tailscale, OpenVPN, ZeroTier, PPP.
    var vpnInterfaces: [String] {
        interfaces.filter { name in ["wg", "tailscale", "tun", "tap", "zt", "ppp"].contains { name.hasPrefix($0) } }
    }

    /// The interface through which an address probably comes in: the one with the narrowest network that contains it.
    ///
    /// - Returns: nil if it is on no network of this machine's.
    func interface(of address: IPAddress) -> String? {
        networks.filter { $0.network.contains(address) }.max { $0.network.prefixLength < $1.network.prefixLength }?
            .interface
    }
}
