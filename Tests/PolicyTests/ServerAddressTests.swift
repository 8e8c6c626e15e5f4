import Netfilter
import Policy
import Testing

@Suite("The address at which a host reaches the server")
struct ServerAddressTests {
    @Test(
        "it is in the narrowest network around the host, else the first address of its family",
        arguments: [
            ("203.0.113.9", "198.51.100.2"), ("10.9.0.7", "10.9.0.1"), ("10.9.0.129", "10.9.0.130"),
            ("192.0.2.77", "10.9.0.1"), ("2001:db8::9", "2001:db8:2::2"),
        ])
    func facing(host: String, server: String) throws {
        let servers = [
            ServerAddress(try IPAddress(parsing: "198.51.100.2"), on: "wan0", prefixLength: 24),
            ServerAddress(try IPAddress(parsing: "2001:db8:2::2"), on: "wan0", prefixLength: 64),
            ServerAddress(
                try IPAddress(parsing: "10.9.0.1"), on: "mgmt0", prefixLength: 24,
                others: [try CIDR(parsing: "192.0.2.77")]),
            ServerAddress(try IPAddress(parsing: "10.9.0.130"), on: "vpn0", prefixLength: 25),
        ]
        #expect(servers.facing(try IPAddress(parsing: host))?.address == (try IPAddress(parsing: server)))
        #expect(servers.prefix(1).facing(try IPAddress(parsing: "2001:db8::9")) == nil)
    }
}
