/// An address behind this machine, and a port there: where a published port leads to.
package struct ContainerEndpoint: Hashable, Sendable {
    /// The address, such as a container's.
    package let address: IPAddress
    /// The port; nil if it does not matter.
    package let port: UInt16?

    /// An endpoint.
    package init(_ address: IPAddress, port: UInt16? = nil) {
        self.address = address
        self.port = port
    }
}

extension ContainerEndpoint: CustomStringConvertible {
    /// As rules write it: `172.17.0.2:80`, `[fd00::2]:80`.
    package var description: String {
        guard let port else { return "\(address)" }
        return address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

extension PublishedPort {
    /// The address and port to which the rule forwards packets for the lowest of its ports; nil if it names several
    /// addresses, or what is there is not an address.
    package var endpoint: ContainerEndpoint? {
        var rest = Substring(destination)
        var host = rest
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            host = rest[rest.index(after: rest.startIndex)..<end]
            rest = rest[rest.index(after: end)...]
        } else if rest.filter({ $0 == ":" }).count > 1 {
            rest = ""
        } else {
            host = rest.prefix { $0 != ":" }
            rest = rest.dropFirst(host.count)
        }
        guard let address = try? IPAddress(parsing: String(host)) else { return nil }
        guard rest.first == ":" else { return ContainerEndpoint(address, port: ports.range.lower) }
        // iptables writes the first port of a range of the rule after a slash.
        guard let port = UInt16(rest.dropFirst().prefix { $0.isNumber }) else { return nil }
        return ContainerEndpoint(address, port: port)
    }
}
