import Netfilter
import Policy
import Testing

@testable import Interview

/// The machine of the tests: a web server with a forgotten node process and a local database.
enum Machine {
    static func address(_ text: String) throws -> IPAddress { try IPAddress(parsing: text) }

    static func network(_ text: String) throws -> CIDR { try CIDR(parsing: text) }

    static func discovery() throws -> Discovery {
        Discovery(
            peer: try address("203.0.113.7"), peerPort: 22, sshPorts: [22],
            listeners: [
                .init(program: "sshd", port: 22, transport: .tcp),
                .init(program: "nginx", port: 80, transport: .tcp),
                .init(program: "nginx", port: 443, transport: .tcp),
                .init(program: "node", port: 3000, transport: .tcp, peers: [try address("198.51.100.44")]),
                .init(program: "postgres", port: 5432, transport: .tcp, loopbackOnly: true),
            ],
            addresses: [
                .init(try address("198.51.100.20"), interface: "eth0"),
                .init(try address("2001:db8:1::20"), interface: "eth0"),
            ], rulesNow: 0, docker: false)
    }

    /// The same machine with a VPN.
    static func withVPN() throws -> Discovery {
        var discovery = try discovery()
        discovery.networks = [
            .init(try network("198.51.100.0/24"), on: "eth0"), .init(try network("10.8.0.0/24"), on: "wg0"),
        ]
        discovery.interfaceNames = ["lo", "eth0", "wg0", "tun1"]
        return discovery
    }

    /// The same machine with Docker's and fail2ban's chains, two published ports, and one rule that belongs to no known program.
    static func crowded() throws -> Discovery {
        var discovery = try discovery()
        discovery.rulesNow = 21
        discovery.otherChains = ["DOCKER", "f2b-sshd"]
        discovery.unownedInputRules = ["-A INPUT -p tcp -m tcp --dport 8443 -j ACCEPT"]
        discovery.otherFirewalls = ["ufw"]
        discovery.docker = true
        discovery.published = [
            .init(PortSpec(range: PortRange(8080), transport: .tcp), container: "grafana"),
            .init(PortSpec(range: PortRange(443), transport: .tcp)),
        ]
        return discovery
    }

    static func context(
        _ discovery: Discovery? = nil, answers: Answers = Answers(), answered: Set<Question> = []
    ) throws -> QuestionContext {
        QuestionContext(
            discovery: try discovery ?? withVPN(), catalog: try .builtIn(), answers: answers,
            answered: answered, hasProposals: false)
    }

    static func wizard(
        _ discovery: Discovery? = nil, proposals: Answers? = nil, columns: Int = 80
    ) throws -> Wizard {
        Wizard(
            discovery: try discovery ?? self.discovery(), catalog: try .builtIn(), proposals: proposals,
            screen: Screen(columns: columns))
    }
}

extension [Line] {
    /// The lines as one text, for comparisons.
    var text: String { map(\.text).joined(separator: "\n") }
}

extension Wizard {
    /// Types the lines in turn, and the review's facts when asked for; returns what the last line showed.
    @discardableResult
    mutating func type(_ lines: String..., report: RehearsalReport = .allWell) -> Turn {
        var turn = Turn([])
        for line in lines {
            turn = input(line)
            if turn.request == .compose { turn = turn.followed(by: composed(.tutorial)) }
            if turn.request == .rehearse { turn = turn.followed(by: rehearsed(report)) }
        }
        return turn
    }
}

extension ChangeSummary {
    static let tutorial = ChangeSummary(rulesRemoved: 0, rulesAdded: 13)
}

extension RehearsalReport {
    static let allWell = RehearsalReport.passed(probes: 64, milliseconds: 612, login: "203.0.113.7")
}
