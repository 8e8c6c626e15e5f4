import Composer
import Netfilter
import Policy
import Testing

/// Compares what a plan promises with what its rules do to packets; the two calculations share no code.
@Suite("The rules do what the plan promises")
struct PromiseTests {
    private static let sources = [
        "192.168.1.33", "192.168.1.34", "192.168.77.1", "10.9.1.1", "10.20.3.4", "203.0.113.9", "2001:db8:5::9",
        "2001:db8:6::1", "2001:db8:7::1", "2001:db8:8::1", "2001:db8:9::1", "2001:db8:1::1", "2001:db8:ffff::1",
    ]
    private static let ports: [UInt16] = [
        1, 22, 24, 25, 53, 79, 80, 81, 82, 110, 123, 143, 443, 500, 587, 873, 993, 995, 2222, 3000, 3306, 4500, 5353,
        5432, 6000, 6005, 6020, 6021, 6379, 8000, 8001, 8002, 8015, 8080, 8448, 9418, 30000, 51413, 60000, 60500,
        61000, 61001, 65535,
    ]

    @Test("every port is open or closed to every source as promised", arguments: try GoldenCase.all())
    func ports(_ golden: GoldenCase) throws {
        let plan = try golden.plan()
        for family in Family.allCases {
            let rules = try Composer().compose(plan, family: family)
            for source in try Self.sources.map({ try IPAddress(parsing: $0) }) where source.family == family {
                for transport in TransportProtocol.allCases {
                    for port in Self.ports {
                        let packet = Packet(source: source, transport: transport.rawValue, port: port)
                        let promised = plan.accepts(from: source, transport: transport, port: port)
                        #expect(packet.isAccepted(by: rules) == promised, "\(source) \(port)/\(transport.rawValue)")
                    }
                }
            }
        }
    }

    @Test("pings, multicast and protocols without ports too", arguments: try GoldenCase.all())
    func others(_ golden: GoldenCase) throws {
        let plan = try golden.plan()
        for family in Family.allCases {
            let rules = try Composer().compose(plan, family: family)
            let group = try IPAddress(parsing: family == .ipv4 ? "224.0.0.251" : "ff02::fb")
            let icmp = family == .ipv4 ? "icmp" : "ipv6-icmp"
            for source in try Self.sources.map({ try IPAddress(parsing: $0) }) where source.family == family {
                let ping = Packet(source: source, transport: icmp, echoRequest: true)
                #expect(ping.isAccepted(by: rules) == plan.acceptsPing(from: source), "ping \(source)")
                let mdns = Packet(source: source, destination: group, transport: "udp", port: 5353)
                let promised = plan.accepts(from: source, transport: .udp, port: 5353, to: group)
                #expect(mdns.isAccepted(by: rules) == promised, "mdns \(source)")
                for ipProtocol in IPProtocol.allCases {
                    let packet = Packet(source: source, transport: ipProtocol.rawValue)
                    #expect(
                        packet.isAccepted(by: rules) == plan.accepts(from: source, ipProtocol: ipProtocol),
                        "\(ipProtocol) \(source)")
                }
            }
        }
    }
}
