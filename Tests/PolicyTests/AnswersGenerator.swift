import Netfilter
import TestSupport

@testable import Policy

/// Generates answers of every kind that the format can hold.
enum AnswersGenerator {
    /// They include names that YAML could interpret as something else.
    static let names = ["ssh", "web", "no", "on", "null", "1", "1e3", "-", "a b", "a: b", "x\"y\\z", "~", "#c", "é"]

    static func answers(_ random: inout SeededNumbers) -> Answers {
        let ipv6 = Bool.random(using: &random)
        let admins = AddressList(
            networks(0...4, ipv6: ipv6, &random), interfaces: interfaces(["wg0", "tun1"], &random))
        let blocked = AddressList(
            [try? CIDR(parsing: "203.0.113.\(UInt8.random(in: 0...255, using: &random))")].compactMap(\.self),
            interfaces: interfaces(["eth7"], &random))
        return Answers(
            admins: admins,
            services: names.shuffled(using: &random).prefix(Int.random(in: 0...5, using: &random)).map { name in
                ServiceChoice(
                    name, from: Bool.random(using: &random) ? nil : source(ipv6: ipv6, &random),
                    limit: name == "ssh" ? nil : limit(&random))
            },
            ports: ports(&random).map { PortChoice($0, from: source(ipv6: ipv6, &random), limit: limit(&random)) },
            ping: PingPolicy.allCases.randomElement(using: &random) ?? .admins,
            ssh: Bool.random(using: &random) ? nil : ssh(ipv6: ipv6, &random),
            ipv6: ipv6,
            log: Bool.random(using: &random),
            existing: ExistingRules.allCases.randomElement(using: &random) ?? .replace,
            docker: DockerPolicy.allCases.randomElement(using: &random) ?? .answers,
            block: blocked.overlap(with: admins) == nil ? blocked : [])
    }

    private static func interfaces(_ names: [String], _ random: inout SeededNumbers) -> [InterfaceName] {
        names.prefix(Int.random(in: 0...names.count, using: &random)).compactMap { try? InterfaceName(parsing: $0) }
    }

    private static func limit(_ random: inout SeededNumbers) -> RateLimit? {
        guard Bool.random(using: &random) else { return nil }
        let count = Int.random(in: RateLimit.counts, using: &random)
        let unit = ["", "s", "m"].randomElement(using: &random) ?? ""
        return try? RateLimit(parsing: "\(count)/\(Int.random(in: 1...1_440, using: &random))\(unit)")
    }

    private static func ssh(ipv6: Bool, _ random: inout SeededNumbers) -> SSHAnswer {
        let ports: Set<UInt16> = [UInt16.random(in: 1...65535, using: &random), 22]
        return SSHAnswer(
            ports: Bool.random(using: &random) ? nil : Array(ports), from: source(ipv6: ipv6, &random),
            limit: limit(&random))
    }

    private static func source(ipv6: Bool, _ random: inout SeededNumbers) -> Source {
        switch Int.random(in: 0...2, using: &random) {
        case 0: .everyone
        case 1: .admins
        default: .networks(AddressList(networks(1...3, ipv6: ipv6, &random), interfaces: interfaces(["wg1"], &random)))
        }
    }

    private static func networks(_ count: ClosedRange<Int>, ipv6: Bool, _ random: inout SeededNumbers) -> [CIDR] {
        var networks: Set<CIDR> = []
        let wanted = Int.random(in: count, using: &random)
        while networks.count < wanted {
            let text =
                if ipv6, Bool.random(using: &random) {
                    [
                        "::/0", "::1", "fe80::/10", "64:ff9b::a00:1",
                        "2001:db8:\(String(UInt16.random(in: 0...0xffff, using: &random), radix: 16))::/48",
                    ].randomElement(using: &random) ?? ""
                } else {
                    [
                        "0.0.0.0/0", "10.\(UInt8.random(in: 0...255, using: &random)).0.0/16",
                        "192.0.2.\(UInt8.random(in: 0...255, using: &random))",
                    ].randomElement(using: &random) ?? ""
                }
            if let network = try? CIDR(parsing: text) { networks.insert(network) }
        }
        return Array(networks)
    }

    private static func ports(_ random: inout SeededNumbers) -> [PortSpec] {
        var specs: Set<PortSpec> = []
        for _ in 0..<Int.random(in: 0...5, using: &random) {
            let ends = [
                UInt16.random(in: 1...65535, using: &random), UInt16.random(in: 1...65535, using: &random),
            ].sorted()
            let range = Bool.random(using: &random) ? PortRange(ends[0]) : PortRange(lower: ends[0], upper: ends[1])
            specs.insert(PortSpec(range: range, transport: Bool.random(using: &random) ? .tcp : .udp))
        }
        return Array(specs)
    }
}
