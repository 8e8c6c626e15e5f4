import Netfilter
import Policy
import Testing

@Suite("What a plan allows")
struct PlanTests {
    private let stranger = try? IPAddress(parsing: "203.0.113.9")
    private let stranger6 = try? IPAddress(parsing: "2001:db8:ffff::9")

    private func plan(_ answers: Answers, sshPorts: [UInt16] = [22]) throws -> Plan {
        try Plan(answers: answers, catalog: try TemplateCatalog.builtIn(), sshPorts: sshPorts)
    }

    private func networks(_ texts: String...) throws -> Source {
        .networks(AddressList(try texts.map { try CIDR(parsing: $0) }))
    }

    // MARK: SSH

    @Test("without an ssh answer the ports that sshd listens on are open to everyone")
    func sshDefault() throws {
        let plan = try plan(Answers(), sshPorts: [2222, 22, 22])
        #expect(plan.sshPorts == [22, 2222])
        #expect(plan.permissions.map(\.answer) == [.ssh, .ssh])
        #expect(plan.permissions.allSatisfy { $0.source == .everyone })
    }

    @Test("if sshd's ports are unknown, 22 is used")
    func sshUnknown() throws {
        #expect(try plan(Answers(), sshPorts: []).sshPorts == [22])
    }

    @Test("only the ssh answer decides: ssh among the services changes nothing")
    func sshService() throws {
        let answer = SSHAnswer(ports: [2022], from: .admins)
        let without = try plan(Answers(ssh: answer))
        let with = try plan(Answers(services: [ServiceChoice("ssh", from: .everyone)], ssh: answer))
        #expect(with.permissions == without.permissions)
        let stranger = try #require(stranger)
        #expect(!with.accepts(from: stranger, transport: .tcp, port: 22))
        #expect(!with.accepts(from: stranger, transport: .tcp, port: 2022))
    }

    @Test("port 0 and unknown services are refused even if they come from code")
    func refused() throws {
        #expect(throws: PlanError.portZero) { try plan(Answers(ssh: SSHAnswer(ports: [0]))) }
        let error = PlanError.unknownService("webb", nearest: "web")
        #expect(throws: error) { try plan(Answers(services: [ServiceChoice("webb")])) }
        #expect(error.description == "\"webb\" is not a known service. Did you mean \"web\"?")
    }

    // MARK: Sources

    @Test("the admins can reach everything, and may ping")
    func admins() throws {
        let plan = try plan(Answers(admins: [try CIDR(parsing: "10.0.0.0/8")], ssh: SSHAnswer(from: .admins)))
        let admin = try IPAddress(parsing: "10.1.2.3")
        #expect(plan.accepts(from: admin, transport: .udp, port: 9))
        #expect(plan.accepts(from: admin, transport: .tcp, port: 22))
        #expect(plan.acceptsPing(from: admin))
        #expect(try !plan.accepts(from: #require(stranger), transport: .tcp, port: 22))
    }

    @Test("a template for the admins stays closed to others unless the answers say otherwise")
    func defaultSource() throws {
        let stranger = try #require(stranger)
        let closed = try plan(Answers(services: [ServiceChoice("postgres")]))
        #expect(!closed.accepts(from: stranger, transport: .tcp, port: 5432))
        #expect(closed.permissions.contains { $0.answer == .service("postgres") && $0.source == .admins })
        let open = try plan(Answers(services: [ServiceChoice("postgres", from: .everyone)]))
        #expect(open.accepts(from: stranger, transport: .tcp, port: 5432))
    }

    @Test("a limited service is open to its networks, each in its own family")
    func networksOnly() throws {
        let source = try networks("192.168.1.0/24", "2001:db8:7::/48")
        let plan = try plan(Answers(services: [ServiceChoice("web", from: source)]))
        #expect(try plan.accepts(from: IPAddress(parsing: "192.168.1.9"), transport: .tcp, port: 80))
        #expect(try plan.accepts(from: IPAddress(parsing: "2001:db8:7::1"), transport: .tcp, port: 80))
        #expect(try !plan.accepts(from: #require(stranger), transport: .tcp, port: 80))
        #expect(try !plan.accepts(from: #require(stranger6), transport: .tcp, port: 80))
    }

    @Test("loopback is always open, even with IPv6 off")
    func loopback() throws {
        let plan = try plan(Answers(ipv6: false))
        for text in ["127.0.0.1", "127.9.9.9", "::1"] {
            #expect(try plan.accepts(from: IPAddress(parsing: text), transport: .tcp, port: 1))
        }
    }

    @Test("with ipv6: false no new connection is allowed over IPv6, not even from an admin")
    func ipv6Off() throws {
        let admin = try CIDR(parsing: "2001:db8:5::1")
        let plan = try plan(
            Answers(admins: [admin], services: [ServiceChoice("web")], ping: .everyone, ipv6: false))
        #expect(!plan.accepts(from: admin.address, transport: .tcp, port: 80))
        #expect(!plan.acceptsPing(from: admin.address))
        #expect(try plan.accepts(from: #require(stranger), transport: .tcp, port: 80))
    }

    // MARK: Ports, pings and the rest

    @Test("a port is open for its own protocol only, and a range includes both ends")
    func ports() throws {
        let stranger = try #require(stranger)
        let plan = try plan(Answers(ports: [PortChoice(try PortSpec(parsing: "60000-61000/udp"))]))
        #expect(plan.accepts(from: stranger, transport: .udp, port: 60000))
        #expect(plan.accepts(from: stranger, transport: .udp, port: 61000))
        #expect(!plan.accepts(from: stranger, transport: .udp, port: 59999))
        #expect(!plan.accepts(from: stranger, transport: .udp, port: 61001))
        #expect(!plan.accepts(from: stranger, transport: .tcp, port: 60000))
    }

    @Test("who may ping", arguments: PingPolicy.allCases)
    func ping(_ policy: PingPolicy) throws {
        let admin = try CIDR(parsing: "192.168.1.33")
        let plan = try plan(Answers(admins: [admin], ping: policy))
        #expect(plan.acceptsPing(from: admin.address))
        #expect(try plan.acceptsPing(from: #require(stranger)) == (policy == .limited || policy == .everyone))
    }

    @Test("multicast ports are open for packets to the group, and for none of the server's addresses")
    func multicast() throws {
        let stranger = try #require(stranger)
        let plan = try plan(Answers(services: [ServiceChoice("mdns")]))
        let group = try IPAddress(parsing: "224.0.0.251")
        #expect(plan.accepts(from: stranger, transport: .udp, port: 5353, to: group))
        #expect(!plan.accepts(from: stranger, transport: .udp, port: 5353))
    }

    @Test("only the IPsec service allows IPsec packets")
    func ipProtocols() throws {
        let stranger = try #require(stranger)
        #expect(try plan(Answers(services: [ServiceChoice("ipsec")])).accepts(from: stranger, ipProtocol: .esp))
        #expect(try !plan(Answers(services: [ServiceChoice("wireguard")])).accepts(from: stranger, ipProtocol: .esp))
    }

    @Test("permissions are in the order of the rules: admins, SSH, services as chosen, ports, ping")
    func order() throws {
        let plan = try plan(
            Answers(
                admins: [try CIDR(parsing: "10.0.0.1")], services: [ServiceChoice("git"), ServiceChoice("dns")],
                ports: [PortChoice(try PortSpec(parsing: "9000/tcp")), PortChoice(try PortSpec(parsing: "8000/tcp"))],
                ping: .limited))
        #expect(
            plan.permissions.map(\.answer) == [
                .admins, .ssh, .service("git"), .service("dns"), .service("dns"), .ports, .ports, .ping,
            ])
    }
}
