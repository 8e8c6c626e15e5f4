/// A server and the network outside it: two namespaces joined by a veth pair, with addresses of both families.
///
/// Every outside address beyond the link's own network reaches the server through the outside's first
/// address, as through a router. Duplicate address detection is off, so that IPv6 works at once.
package final class NamespacePair: Sendable {
    package let server: NetworkNamespace
    package let outside: NetworkNamespace

    package static let serverAddresses = ["192.0.2.2/24", "2001:db8:2::2/64"]
    package static let gateways = ["192.0.2.1/24", "2001:db8:2::1/64"]

    /// An administrator of the tutorial, and one over IPv6.
    package static let admins = ["192.168.1.33/32", "2001:db8:5::33/128"]
    package static let strangers = ["198.51.100.7/32", "2001:db8:bad::7/128"]

    /// Creates the pair; both ends are called `eth0`.
    package init(outside addresses: [String] = admins + strangers) async throws {
        server = try await NetworkNamespace("server")
        outside = try await NetworkNamespace("outside", beside: server)
        try await server.mustRun([
            "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", "\(outside.holderID)",
        ])
        try await configure(server, Self.serverAddresses, routes: Self.gateways)
        try await configure(outside, Self.gateways + addresses, routes: [])
        // The veth pair may take a second from "up" until it transmits.
        for address in Self.serverAddresses {
            let ping = ["ping", "-c", "1", "-W", "1", String(address.prefix { $0 != "/" })]
            for _ in 0..<10 where try await outside.run(ping).status == 0 { break }
        }
    }

    /// The addresses of the server, and of the outside's strangers or admins, in one family without prefix length.
    package static func bare(_ addresses: [String], _ family: IPFamily) -> String {
        let match = addresses.first { $0.contains(":") == (family == .ipv6) } ?? ""
        return String(match.prefix { $0 != "/" })
    }

    package func close() {
        server.close()
        outside.close()
    }

    private func configure(_ namespace: NetworkNamespace, _ addresses: [String], routes: [String]) async throws {
        var lines = ["link set eth0 up"]
        lines += addresses.map { "address add \($0) dev eth0" + ($0.contains(":") ? " nodad" : "") }
        lines += routes.map { route in
            "route add \(route.contains(":") ? "::/0" : "0.0.0.0/0") via \(route.prefix { $0 != "/" })"
        }
        try await namespace.mustRun(["ip", "-batch", "-"], input: Array((lines.joined(separator: "\n") + "\n").utf8))
    }
}
