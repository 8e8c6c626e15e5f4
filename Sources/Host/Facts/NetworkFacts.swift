/// The kernel's routes and IPv6 state.
package struct NetworkFacts: Sendable, Equatable {
    /// Whether the machine uses IPv6.
    package enum IPv6: String, Sendable {
        /// The kernel supports it and interfaces may use it.
        case available
        /// The kernel supports it, and net.ipv6.conf.all.disable_ipv6 turns it off.
        case disabled
        /// The kernel does not support it.
        case absent
    }

    /// A default route.
    package struct DefaultRoute: Hashable, Sendable {
        package let interface: String
        package let isIPv6: Bool
    }

    package let ipv6: IPv6
    package let defaultRoutes: [DefaultRoute]

    /// Reads routes and IPv6's state.
    package init(_ source: FactSource = FactSource()) {
        let addresses = source.procLines("net/if_inet6")
        let disabled = source.procLines("sys/net/ipv6/conf/all/disable_ipv6")?.first == "1"
        // `all` can be 1 although an interface has been turned on again; an address outside lo shows this.
        let inUse = addresses?.contains { !$0.hasSuffix(" lo") } ?? false
        ipv6 = addresses == nil ? .absent : disabled && !inUse ? .disabled : .available
        let routes = (source.procLines("net/route") ?? []).compactMap(Self.route4)
        let routes6 = (source.procLines("net/ipv6_route") ?? []).compactMap(Self.route6)
        var seen: Set<DefaultRoute> = []
        defaultRoutes = (routes + routes6).filter { seen.insert($0).inserted }
    }

    /// Whether there is a default route for a family.
    package func hasDefaultRoute(ipv6: Bool) -> Bool { defaultRoutes.contains { $0.isIPv6 == ipv6 } }

    /// RTF_UP is set and RTF_REJECT is not (include/uapi/linux/route.h).
    private static func leadsSomewhere(_ flags: UInt32) -> Bool { flags & 1 != 0 && flags & 0x200 == 0 }

    /// Interface, destination, gateway, flags, three counters, mask.
    private static func route4(_ line: Substring) -> DefaultRoute? {
        let fields = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
        guard fields.count >= 8, fields[1] == "00000000", fields[7] == "00000000",
            let flags = UInt32(fields[3], radix: 16), leadsSomewhere(flags)
        else { return nil }
        return DefaultRoute(interface: String(fields[0]), isIPv6: false)
    }

    /// Destination, its length, source, its length, next hop, metric, two counters, flags, interface.
    private static func route6(_ line: Substring) -> DefaultRoute? {
        let fields = line.split(separator: " ")
        guard fields.count >= 10, fields[0].allSatisfy({ $0 == "0" }), fields[1] == "00", fields[9] != "lo",
            let flags = UInt32(fields[8], radix: 16), leadsSomewhere(flags)
        else { return nil }
        return DefaultRoute(interface: String(fields[9]), isIPv6: true)
    }
}
