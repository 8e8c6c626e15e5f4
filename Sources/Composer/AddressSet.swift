import Netfilter
import Policy

/// Addresses and networks that a rule looks up in one kernel set (ipset(8), hash:net).
///
/// The name is derived from the content: a change never alters a set that active rules use, and two equal lists share a
/// set.
package struct AddressSet: Hashable, Sendable {
    /// The prefix of the names of latchkey's sets.
    package static let prefix = NFTable.Part.ownSetPrefix
    /// A longer list becomes a set, if the kernel supports sets.
    static let threshold = 8
    /// The maximum number of addresses and networks that become separate rules if the kernel does not support sets.
    static let mostRules = 200

    /// The family of all networks.
    package let family: Family
    /// The networks, sorted; none covers another.
    package let networks: [CIDR]
    /// The name, at most 31 bytes.
    package let name: String

    package static func == (left: AddressSet, right: AddressSet) -> Bool { left.name == right.name }

    package func hash(into hasher: inout Hasher) { hasher.combine(name) }

    /// The set for a list.
    init(_ networks: [CIDR], _ family: Family) {
        self.family = family
        self.networks = CIDR.merged(networks)
        name = "\(Self.prefix)\(family == .ipv4 ? 4 : 6)-\(Self.digest(self.networks))"
    }

    /// Commands for `ipset restore` that create the set.
    package var commands: String {
        let size = max(1_024, networks.count.nextPowerOfTwo)
        var text = "create \(name) hash:net family \(family == .ipv4 ? "inet" : "inet6") hashsize \(size)"
        text += " maxelem \(max(65_536, networks.count * 2))\n"
        for network in networks.flatMap(Self.storable) { text += "add \(name) \(network)\n" }
        return text
    }

    /// A set does not accept a network of length 0; its two halves replace it.
    private static func storable(_ network: CIDR) -> [CIDR] {
        guard network.isEverything else { return [network] }
        var upper = network.address.bytes
        upper[0] = 0x80
        return [network.address, IPAddress(bytes: upper)].compactMap { $0.flatMap { CIDR(of: $0, prefixLength: 1) } }
    }

    /// FNV-1a over the networks, 64 bits: it distinguishes lists, and is not a protection.
    private static func digest(_ networks: [CIDR]) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for network in networks {
            for byte in network.address.bytes + [UInt8(network.prefixLength)] {
                hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
            }
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension Int {
    fileprivate var nextPowerOfTwo: Int { self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}
