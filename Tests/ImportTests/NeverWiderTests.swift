import Import
import Netfilter
import Policy
import TestSupport
import Testing

/// Random rules, walked through packet by packet, against the plan of their import.
@Suite("An import never opens more")
struct NeverWiderTests {
    private static let networks = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "203.0.113.0/24", "198.51.100.7"]
    private static let ports: [UInt16] = [22, 25, 80, 443, 3306, 5432, 8080, 8081]
    private static let hosts = ["10.1.2.3", "10.1.9.9", "10.200.0.1", "203.0.113.9", "198.51.100.7", "192.0.2.200"]

    private static let interfaces = ["eth0", "wg0"]

    private struct RandomRule {
        var interface: String?
        var source: CIDR?
        var isNegated: Bool
        var transport: String?
        var ports: ClosedRange<UInt16>?
        var target: String

        func text(_ chain: String) -> String {
            var text = "-A \(chain)" + (interface.map { " -i \($0)" } ?? "")
            if let source { text += "\(isNegated ? " !" : "") -s \(source.canonical)" }
            if let transport {
                text += " -p \(transport)"
                if let ports { text += " -m \(transport) --dport \(ports.lowerBound):\(ports.upperBound)" }
            }
            return text + " \(target)"
        }

        func matches(_ address: IPAddress, on interface: String, _ name: String, _ port: UInt16) -> Bool {
            if let own = self.interface, own != interface { return false }
            if let source, source.contains(address) == isNegated { return false }
            if let transport, transport != name { return false }
            return transport == nil || ports?.contains(port) ?? true
        }
    }

    private static func rule(
        _ random: inout some RandomNumberGenerator, _ targets: [String]
    ) throws -> RandomRule {
        let source = Bool.random(using: &random) ? try CIDR(parsing: networks.randomElement(using: &random) ?? "") : nil
        let (one, other) = (ports.randomElement(using: &random) ?? 1, ports.randomElement(using: &random) ?? 1)
        return RandomRule(
            interface: Int.random(in: 0..<3, using: &random) == 0 ? interfaces.randomElement(using: &random) : nil,
            source: source, isNegated: Int.random(in: 0..<4, using: &random) == 0,
            transport: ["tcp", "tcp", "udp", nil].randomElement(using: &random) ?? nil,
            ports: Int.random(in: 0..<5, using: &random) == 0 ? nil : min(one, other)...max(one, other),
            target: targets.randomElement(using: &random) ?? "-j DROP")
    }

    /// What iptables does: whether the packet is accepted; nil if the chain does not decide.
    private static func walk(
        _ chain: String, _ chains: [String: [RandomRule]], _ address: IPAddress, on interface: String, _ name: String,
        _ port: UInt16
    ) -> Bool? {
        for rule in chains[chain] ?? [] where rule.matches(address, on: interface, name, port) {
            switch rule.target {
            case "-j ACCEPT": return true
            case "-j DROP": return false
            case "-j RETURN": return nil
            default:
                let isGoto = rule.target.hasPrefix("-g")
                let verdict = walk(
                    String(rule.target.dropFirst(3)), chains, address, on: interface, name, port)
                if verdict != nil || isGoto { return verdict }
            }
        }
        return nil
    }

    @Test("whatever the rules, except for SSH", arguments: Sampled.cases(Array(0..<40)))
    func random(seed: Int) throws {
        var random = SeededNumbers(seed: UInt64(seed))
        for _ in 0..<25 {
            var chains: [String: [RandomRule]] = [:]
            let accepts = Int.random(in: 0..<4, using: &random) == 0
            for (chain, targets) in [
                ("INPUT", ["-j ACCEPT", "-j ACCEPT", "-j DROP", "-j A", "-g B"]),
                ("A", ["-j ACCEPT", "-j DROP", "-j RETURN", "-j B", "-g B"]),
                ("B", ["-j ACCEPT", "-j DROP", "-j RETURN"]),
            ] {
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    chains[chain, default: []].append(try Self.rule(&random, targets))
                }
            }
            let lines = ["INPUT", "A", "B"].flatMap { chain in (chains[chain] ?? []).map { $0.text(chain) } }
            let text =
                "*filter\n:INPUT \(accepts ? "ACCEPT" : "DROP") [0:0]\n:A - [0:0]\n:B - [0:0]\n"
                + lines.joined(separator: "\n") + "\nCOMMIT\n"
            let listening = try Self.ports.map { try PortSpec(parsing: "\($0)/tcp") }
            let machine = ImportMachine(interfaces: Self.interfaces, listening: listening, families: [.ipv4])
            let source = IPTablesFilter([.ipv4: try RuleSet(parsing: text, file: "rules")])
            guard let result = try Importer.answers(from: source, catalog: Imports.catalog(), machine: machine) else {
                continue
            }
            let plan = try Plan(answers: result.answers, catalog: Imports.catalog(), sshPorts: [22])
            for host in try Self.hosts.map({ try IPAddress(parsing: $0) }) {
                for interface in Self.interfaces {
                    // An interface among the admins is never blocked.
                    let isBlocked = result.answers.block.contains(host)
                    let isAdmin = result.answers.admins.contains(host, on: interface)
                    for (name, transport) in [("tcp", TransportProtocol.tcp), ("udp", .udp)] {
                        for port in Self.ports {
                            let isOpen = Self.walk("INPUT", chains, host, on: interface, name, port) ?? accepts
                            let willBe = plan.accepts(from: host, transport: transport, port: port, on: interface)
                            let isSSH = port == 22 && transport == .tcp
                            let what = "\(port)/\(name) from \(host) on \(interface)"
                            if willBe, !isOpen, !isSSH, !(isBlocked && isAdmin) {
                                Issue.record("\(what) opens:\n\(text)\n\(AnswersFile.render(result.answers))")
                                return
                            }
                            // Who could log in still can, but for a public network that another rule blocks.
                            if isSSH, isOpen, !willBe, !isBlocked {
                                Issue.record("\(what) is lost:\n\(text)\n\(AnswersFile.render(result.answers))")
                                return
                            }
                        }
                    }
                }
            }
        }
    }
}
