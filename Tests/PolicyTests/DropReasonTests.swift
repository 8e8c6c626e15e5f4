import Netfilter
import Policy
import Testing

@Suite("Why a packet was dropped")
struct DropReasonTests {
    /// A packet, the answers, and the explanation.
    struct Case: Sendable, CustomTestStringConvertible {
        let packet: String
        let answers: String
        let reason: String
        let sshPorts: [UInt16]

        init(_ packet: String, _ answers: String, _ reason: String, ssh: [UInt16] = [22]) {
            self.packet = packet
            self.answers = answers
            self.reason = reason
            sshPorts = ssh
        }

        var testDescription: String { "\(packet): \(reason)" }
    }

    private static let allowed = "the answers allow it now: it came before the last change, or exceeded a limit"
    private static let unknown = "no service or port in the answers opens it"
    private static let late = "it belongs to no connection: a late packet or a scan"

    static let cases = [
        // TCP and UDP
        Case("tcp 8443", "", unknown),
        Case("tcp 0", "", unknown),
        Case("tcp 443", "", "web would allow it, but is not in the answers"),
        Case("tcp 443", "services: [web]", allowed),
        Case("tcp 443", "ports: [443/tcp]", allowed),
        Case("udp 443", "ports: [443/tcp]", "web would allow it, but is not in the answers"),
        Case("tcp 5432", "", "postgres would allow it from the admins, but is not in the answers"),
        Case("tcp 25", "services: [{ name: mail, from: [192.168.1.0/24] }]", "mail allows only 192.168.1.0/24"),
        Case(
            "tcp 25", "services: [{ name: mail, from: [192.168.1.0/24, 10.0.0.0/8, 192.0.2.9, 192.0.2.11] }]",
            "mail allows only 192.168.1.0/24, 10.0.0.0/8 and 2 more"),
        Case("tcp 25", "services: [{ name: mail, from: [198.51.100.0/24] }]", allowed),
        Case("tcp 5432", "admins: [192.0.2.9]\nservices: [postgres]", "postgres allows only the admins"),
        Case("tcp 5432", "services: [postgres]", "postgres allows only the admins, and there are none"),
        // SSH
        Case("tcp 22", "", allowed),
        Case("tcp 22", "admins: [192.0.2.9]\nssh: { from: admins }", "ssh allows only the admins"),
        Case("tcp 22", "ssh: { from: admins }", "ssh allows only the admins, and there are none"),
        Case("tcp 22", "ssh: { from: [10.0.0.0/8] }", "ssh allows only 10.0.0.0/8"),
        Case("tcp 22", "", "ssh is open on port 2222, not on this one", ssh: [2222]),
        Case("tcp 22", "ssh: { ports: [2222, 2223] }", "ssh is open on ports 2222 and 2223, not on this one"),
        Case("udp 22", "", unknown),
        // Limits, blocked sources and interfaces
        Case("tcp 22", "ssh: { limit: 6/30s }", "ssh allows only 6 in 30 s from one address"),
        Case("tcp 80", "services: [{ name: web, limit: 10/1m }]", "web allows only 10 in 1 min from one address"),
        Case("tcp 80", "services: [{ name: web, limit: 10/1m }]\nports: [80/tcp]", allowed),
        Case("tcp 8080", "ports: [{ port: 8080/tcp, from: [10.0.0.0/8] }]", "port 8080/tcp allows only 10.0.0.0/8"),
        Case("tcp 80", "services: [web]\nblock: [198.51.100.0/24]", "the answers block 198.51.100.0/24"),
        Case("ping", "ping: everyone\nblock: [198.51.100.0/24]", "the answers block 198.51.100.0/24"),
        Case("tcp 80", "services: [{ name: web, from: [{ interface: wg0 }] }]", "web allows only interface wg0"),
        Case("tcp 80", "services: [{ name: web, from: [{ interface: eth0 }] }]", allowed),
        // What belongs to no connection
        Case("tcp 54321 late", "", late),
        Case("tcp 80 late", "services: [web]", allowed),
        Case("tcp 25 late", "services: [{ name: mail, from: [10.0.0.0/8] }]", "mail allows only 10.0.0.0/8"),
        Case("udp 40000 from 53", "", late),
        Case("udp 53 from 53", "", "dns would allow it, but is not in the answers"),
        Case("udp 40000 from 40000", "", unknown),
        // Multicast
        Case("udp 5353", "services: [mdns]", "mdns allows only packets to the group 224.0.0.251 or ff02::fb"),
        Case("udp 5353 to 224.0.0.251", "services: [{ name: mdns, from: everyone }]", allowed),
        // ICMP
        Case("icmp 8", "", "nobody may ping this server (ping: replies-only, and there are no admins)"),
        Case("icmp 8", "admins: [192.0.2.9]", "only the admins may ping this server (ping: replies-only)"),
        Case("icmp 8", "admins: [192.0.2.9]\nping: admins", "only the admins may ping this server (ping: admins)"),
        Case("icmp 8", "ping: limited", "the answers allow it, but there were too many (ping: limited)"),
        Case("icmp 8", "ping: everyone", allowed),
        Case("icmp 8", "admins: [198.51.100.7]\nping: limited", allowed),
        Case("icmp 3", "ping: everyone", "it concerns no connection of this server"),
        Case("icmp6 128", "", "nobody may ping this server (ping: replies-only, and there are no admins)"),
        Case("icmp6 8", "", "it concerns no connection of this server"),
        // IPv6 off
        Case("tcp6 22", "ipv6: false", "IPv6 is off (ipv6: false)"),
        Case("icmp6 128", "ping: everyone\nipv6: false", "IPv6 is off (ipv6: false)"),
        Case("tcp6 8443", "", unknown),
        // Other protocols
        Case("other 132", "", unknown),
        Case("other esp", "", "ipsec would allow it, but is not in the answers"),
        Case("other esp", "services: [ipsec]", allowed),
        Case("other esp", "services: [{ name: ipsec, from: [10.0.0.0/8] }]", "ipsec allows only 10.0.0.0/8"),
        Case("incomplete", "", "the log shows no port: a fragment, or a cut-off packet"),
        // Admins, and containers
        Case("tcp 8443", "admins: [198.51.100.0/24]", allowed),
        Case("incomplete", "admins: [198.51.100.0/24]", allowed),
        Case("out 80", "docker: answers", "the answers do not open this container's port to this address"),
    ]

    private static func packet(_ text: String) throws -> LoggedPacket {
        let words = text.split(separator: " ").map(String.init)
        let isIPv6 = words[0].hasSuffix("6")
        func value(after word: String) -> String? {
            words.firstIndex(of: word).map { words[$0 + 1] }
        }
        let from = value(after: "from").flatMap { UInt16($0) } ?? 40_000
        let content: LoggedPacket.Content =
            switch words[0] {
            case "tcp", "tcp6", "out": .tcp(from: from, to: UInt16(words[1]) ?? 0, opens: !words.contains("late"))
            case "udp": .udp(from: from, to: UInt16(words[1]) ?? 0)
            case "icmp", "icmp6": .icmp(type: UInt8(words[1]) ?? 0, code: 0)
            case "other": .other(words[1])
            default: .incomplete("tcp")
            }
        return LoggedPacket(
            interface: "eth0", outInterface: words[0] == "out" ? "docker0" : nil,
            source: try IPAddress(parsing: isIPv6 ? "2001:db8:bad::7" : "198.51.100.7"),
            destination: try IPAddress(parsing: isIPv6 ? "2001:db8:2::2" : value(after: "to") ?? "192.0.2.2"),
            content: content)
    }

    @Test("each packet has its reason", arguments: cases)
    func reason(_ item: Case) throws {
        let catalog = try TemplateCatalog.builtIn()
        let answers = try AnswersFile.parse("version: 1\n\(item.answers)\n", file: "answers.yaml", catalog: catalog)
        let plan = try Plan(answers: answers, catalog: catalog, sshPorts: item.sshPorts)
        let reason = plan.reason(for: try Self.packet(item.packet), catalog: catalog)
        #expect(reason.description == item.reason)
    }

    @Test("whatever a plan accepts is allowed now, and whatever has another reason is not accepted")
    func agrees() throws {
        let catalog = try TemplateCatalog.builtIn()
        let text = "version: 1\nadmins: [192.0.2.9]\nservices: [web, { name: mail, from: [198.51.100.0/24] }]\n"
        let answers = try AnswersFile.parse(text, file: "answers.yaml", catalog: catalog)
        let plan = try Plan(answers: answers, catalog: catalog, sshPorts: [22])
        let destination = try IPAddress(parsing: "192.0.2.2")
        for source in try ["192.0.2.9", "198.51.100.7", "203.0.113.9"].map({ try IPAddress(parsing: $0) }) {
            for port in UInt16(0)...1_100 {
                let packet = LoggedPacket(
                    interface: "eth0", source: source, destination: destination,
                    content: .tcp(from: 40_000, to: port, opens: true))
                let isAllowed = plan.accepts(from: source, transport: .tcp, port: port)
                #expect((plan.reason(for: packet, catalog: catalog) == .allowedNow) == isAllowed)
            }
        }
    }
}
