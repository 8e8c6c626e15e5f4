import Netfilter

/// A value for each address family; nil for a family that is not used.
package struct PerFamily<Value> {
    /// The IPv4 value.
    package var ipv4: Value?
    /// The IPv6 value.
    package var ipv6: Value?

    /// Creates a pair of values.
    package init(ipv4: Value? = nil, ipv6: Value? = nil) {
        self.ipv4 = ipv4
        self.ipv6 = ipv6
    }

    /// The value of a family.
    package subscript(family: Family) -> Value? {
        get { family == .ipv4 ? ipv4 : ipv6 }
        set { if family == .ipv4 { ipv4 = newValue } else { ipv6 = newValue } }
    }

    /// The values that are not nil, IPv4 first.
    package var present: [(family: Family, value: Value)] {
        Family.allCases.compactMap { family in self[family].map { (family, $0) } }
    }
}

extension PerFamily: Sendable where Value: Sendable {}
extension PerFamily: Equatable where Value: Equatable {}
extension PerFamily: Encodable where Value: Encodable {}
extension PerFamily: Decodable where Value: Decodable {}
