import Netfilter

/// A set of ports of one transport protocol, as ascending ranges that neither overlap nor touch.
package struct PortSet: Hashable, Sendable {
    /// The ranges.
    package let ranges: [PortRange]

    /// Every port.
    package static let all = PortSet([PortRange(lower: 1, upper: .max)])
    /// No port.
    package static let none = PortSet([])

    /// The ports of some ranges.
    package init(_ ranges: some Sequence<PortRange>) { self.ranges = PortRange.merged(ranges) }

    /// Whether it has no port.
    package var isEmpty: Bool { ranges.isEmpty }

    /// Whether the port is in the set.
    package func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }

    /// Whether all ports of a range are in the set.
    package func contains(_ range: PortRange) -> Bool {
        ranges.contains { $0.lower <= range.lower && range.upper <= $0.upper }
    }

    /// The ports in both sets.
    package func intersection(_ other: PortSet) -> PortSet {
        PortSet(
            ranges.flatMap { range in
                other.ranges.compactMap { another -> PortRange? in
                    let (lower, upper) = (max(range.lower, another.lower), min(range.upper, another.upper))
                    return lower <= upper ? PortRange(lower: lower, upper: upper) : nil
                }
            })
    }

    /// The ports in either set.
    package func union(_ other: PortSet) -> PortSet { PortSet(ranges + other.ranges) }

    /// The ports that are not in the other set.
    package func subtracting(_ other: PortSet) -> PortSet { intersection(other.complement) }

    /// The ports that are not in the set.
    package var complement: PortSet {
        var free: [PortRange] = []
        var next = 1
        for range in ranges {
            if next < Int(range.lower) { free.append(PortRange(lower: UInt16(next), upper: range.lower - 1)) }
            next = Int(range.upper) + 1
        }
        if next <= Int(UInt16.max) { free.append(PortRange(lower: UInt16(next), upper: .max)) }
        return PortSet(free)
    }
}
