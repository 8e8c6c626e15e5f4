import Netfilter
import Policy
import Testing

@testable import Interview

@Suite("Warnings")
struct WarningTests {
    private func warnings(
        _ question: Question, _ line: String, discovery: Discovery? = nil, answers: Answers = Answers()
    ) throws -> [String] {
        var context = try Machine.context(discovery, answers: answers)
        context.answers = try question.parse(line, context).get()
        return question.warnings(context)
    }

    @Test("your own address is missing from the admins")
    func ownAddress() throws {
        #expect(
            try warnings(.admins, "192.168.1.33 2001:db8:5::1") == [
                "Your own address, 203.0.113.7, is not in the list."
            ])
        #expect(try warnings(.admins, "203.0.113.0/24 2001:db8:5::1") == [])
    }

    @Test("without an admin with a fixed address, SSH is the only way in")
    func noAdmin() throws {
        #expect(
            try warnings(.admins, "none") == [
                "No administrator addresses: SSH is your only way to reach this server."
            ])
    }

    @Test("a server with IPv6 whose admins have no IPv6 address, or whose answers turn it off")
    func ipv6() throws {
        let text = "This server also has IPv6, and none of these addresses is IPv6."
        #expect(try warnings(.admins, "203.0.113.7") == [text])
        var discovery = try Machine.discovery()
        discovery.addresses.removeLast()
        #expect(try warnings(.admins, "203.0.113.7", discovery: discovery) == [])
        #expect(
            try warnings(.admins, "203.0.113.7", answers: Answers(ipv6: false)) == [
                "This server has IPv6 addresses, and your answers file blocks IPv6 (ipv6: false)."
            ])
    }

    @Test("SSH open to everyone beside the admins, and to a very wide network")
    func worldSSH() throws {
        let own = Answers(admins: [try Machine.network("203.0.113.7")])
        #expect(
            try warnings(.ssh, "everyone", answers: own) == [
                "SSH is open to everyone. Use keys, not passwords."
            ])
        #expect(try warnings(.ssh, "everyone") == [])
        #expect(try warnings(.ssh, "192.0.0.0/8", answers: own) == ["192.0.0.0/8 contains 16 million addresses."])
    }

    @Test("blocking a listening port and opening an unused port are both reported")
    func closedAndDeaf() throws {
        var discovery = try Machine.discovery()
        discovery.listeners.append(.init(program: "redis", port: 6379, transport: .tcp))
        let answers = Answers(services: [ServiceChoice("web")])
        #expect(
            try warnings(.ports, "3000/tcp 8080/tcp", discovery: discovery, answers: answers) == [
                "Nothing is listening on 8080/tcp now. It will be open anyway.",
                "Open now, but will be blocked for everyone except administrators: redis 6379.",
            ])
    }

    @Test(
        "a very wide network is reported with its size",
        arguments: [
            ("10.0.0.0/8 203.0.113.7", "10.0.0.0/8 contains 16 million addresses. All of them get full access."),
            ("0.0.0.0/0", "0.0.0.0/0 contains every IPv4 address. All of them get full access."),
            (
                "2001:db8::/32 203.0.113.7",
                "2001:db8::/32 contains more addresses than a single site uses. All of them get full access."
            ),
        ])
    func wide(line: String, expected: String) throws {
        #expect(try warnings(.admins, line).contains(expected))
    }

    @Test("the server's own address is not an administrator")
    func ownServer() throws {
        #expect(
            try warnings(.admins, "203.0.113.7 198.51.100.20 2001:db8:5::1") == [
                "198.51.100.20 is this server's own address, which always has access."
            ])
    }

    @Test("SSH for admins only, without any admins")
    func nobodyLeft() throws {
        #expect(
            try warnings(.ssh, "admins") == ["There are no administrators, so nobody could log in by SSH."])
    }

    @Test("SSH without the address of your connection")
    func shutOut() throws {
        let text = "You are connected from 203.0.113.7. You could not log in again from there."
        #expect(try warnings(.ssh, "192.0.2.1") == [text])
        let others = Answers(admins: [try Machine.network("192.0.2.1")])
        #expect(try warnings(.ssh, "admins", answers: others) == [text])
        let own = Answers(admins: [try Machine.network("203.0.113.7")])
        #expect(try warnings(.ssh, "admins", answers: own) == [])
        #expect(try warnings(.ssh, "192.0.2.1", answers: own) == [])
    }

    @Test("an SSH port without a listener, and the port in use left out")
    func sshPorts() throws {
        #expect(
            try warnings(.ssh, "everyone port 2222") == [
                "sshd does not listen on 2222. It listens on 22.",
                "Your SSH connection uses port 22. New connections to it would be blocked.",
            ])
    }

    @Test("a database open to everyone, as a service and as a port")
    func database() throws {
        #expect(
            try warnings(.services, "mail web dns") == [
                "Nothing is listening for mail and dns now. The ports will be open anyway."
            ]
        )
        #expect(
            try warnings(.services, "postgres from everyone") == [
                "postgres would be open to everyone. It is meant for administrators only."
            ])
        let admin = Answers(admins: [try Machine.network("203.0.113.7")])
        #expect(try warnings(.services, "postgres", answers: admin) == [])
        #expect(
            try warnings(.ports, "5432/tcp").first { $0.contains("postgres") }
                == "5432/tcp would open postgres to everyone, not only to administrators.")
    }

    @Test("another program on a shared port is not reported as a database")
    func sharedPort() throws {
        #expect(
            try warnings(.ports, "3000/tcp 8086/tcp").filter { $0.contains(" would open ") }.map {
                $0.hasPrefix("8086/tcp would open influxdb")
            } == [true])
    }

    @Test("a port that will be blocked while somebody uses it")
    func portInUse() throws {
        let text = "Port 3000 (node) is in use by 198.51.100.44. New connections from there will be blocked."
        #expect(try warnings(.ports, "none", answers: Answers(services: [ServiceChoice("web")])) == [text])
        #expect(try warnings(.ports, "3000/tcp", answers: Answers(services: [ServiceChoice("web")])) == [])
        let admin = Answers(admins: [try Machine.network("198.51.100.44")])
        #expect(!(try warnings(.ports, "none", answers: admin)).contains(text))
    }

    @Test("the SSH port among the other ports removes its limit")
    func sshPortOpened() throws {
        let answers = Answers(ssh: SSHAnswer(from: .admins))
        #expect(
            try warnings(.ports, "22/tcp 3000/tcp", answers: answers).contains(
                "22/tcp is the SSH port. This opens it to everyone, despite your answer there."))
    }

    @Test("a very wide range, with a database in it beside another program")
    func wideRange() throws {
        let found = try warnings(.ports, "1-65535/tcp")
        #expect(
            found.contains(
                "1-65535/tcp opens 65535 ports to everyone, for any program that listens there now or later."))
        #expect(found.contains { $0.hasPrefix("1-65535/tcp would open postgres to everyone") })
        #expect(!(try warnings(.ports, "60000-61000/udp").contains { $0.contains("any program that listens there") }))
    }

    @Test("pings for admins, without any admins")
    func pingAdmins() throws {
        #expect(
            try warnings(.ping, "admins") == [
                "There are no administrators, so \"admins\" means the same as \"nobody\"."
            ])
    }

    @Test("other firewalls that load their rules again after a replacement")
    func replacing() throws {
        #expect(
            try warnings(.existing, "replace", discovery: try Machine.crowded()) == [
                "ufw will load its own rules again at boot. Disable it."
            ])
        var discovery = try Machine.crowded()
        discovery.otherFirewalls = ["firewalld", "ufw"]
        #expect(
            try warnings(.existing, "replace", discovery: discovery) == [
                "firewalld and ufw will load their own rules again at boot. Disable them."
            ])
        #expect(try warnings(.existing, "keep", discovery: try Machine.crowded()) == [])
    }

    @Test("a warning is shown once, and the wizard continues")
    func once() throws {
        var wizard = try Machine.wizard()
        _ = wizard.begin()
        let text = "Your own address, 203.0.113.7, is not in the list."
        let first = wizard.input("192.168.1.33")
        #expect(first.lines.contains { $0.text.contains(text) && $0.tone == .warning })
        #expect(wizard.stage == .asking(.ssh, fromReview: false))
        wizard.type("back")
        #expect(!wizard.input("192.168.1.33").lines.contains { $0.text.contains(text) })
    }
}
