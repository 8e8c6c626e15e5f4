import Netfilter

/// Where packets come from: addresses and networks, written in the answers or in files that the answers name, and
/// interfaces.
package struct AddressList: Hashable, Sendable, ExpressibleByArrayLiteral {
    /// The addresses and networks written in the answers.
    package var networks: [CIDR]
    /// The files.
    package var files: [AddressFile]
    /// The interfaces through which packets come in, whatever their address.
    package var interfaces: [InterfaceName]

    /// A list with these parts.
    package init(_ networks: [CIDR] = [], files: [AddressFile] = [], interfaces: [InterfaceName] = []) {
        self.networks = networks
        self.files = files
        self.interfaces = interfaces
    }

    package init(arrayLiteral networks: CIDR...) { self.init(networks) }

    /// All addresses and networks, including those of the files.
    package var all: [CIDR] { files.isEmpty ? networks : networks + files.flatMap(\.networks) }

    /// Whether it is empty.
    package var isEmpty: Bool { networks.isEmpty && files.isEmpty && interfaces.isEmpty }

    /// Whether the address is among them, or the interface through which its packets come in.
    ///
    /// - Parameters:
    ///   - address: the address.
    ///   - interface: the name of the interface; nil if it is unknown.
    /// - Returns: false too if only the interface would be among them and it is unknown.
    package func contains(_ address: IPAddress, on interface: String? = nil) -> Bool {
        networks.contains { $0.contains(address) } || files.contains { $0.contains(address) }
            || interfaces.contains { $0.text == interface }
    }

    /// The sources as people see them: addresses and networks, and `interface wg0`.
    package var sources: [String] { all.map(\.description) + interfaces.map { "interface \($0)" } }

    /// The first of its networks that has an address in common with one of another list.
    ///
    /// - Parameter other: the other list.
    /// - Returns: both networks; nil if the lists have no address in common.
    package func overlap(with other: AddressList) -> (own: CIDR, other: CIDR)? {
        // Merged networks are disjoint: of two that overlap, one contains the first address of the other.
        let (own, others) = (CIDR.merged(all), CIDR.merged(other.all))
        var (left, right) = (0, 0)
        while left < own.count, right < others.count {
            if own[left].contains(others[right]) || others[right].contains(own[left]) {
                return (own[left], others[right])
            }
            if own[left] < others[right] { left += 1 } else { right += 1 }
        }
        return nil
    }
}
