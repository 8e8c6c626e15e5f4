import Netfilter
import TestSupport
import Testing

@testable import Policy

private let names = ServiceNames(["ssh", "web", "mail", "dns", "postgres"])

private func parse(_ yaml: String) throws(DataErrors) -> Answers {
    try AnswersFile.parse(yaml, file: "answers.yaml", services: names)
}

/// The messages about a file, line by line; none when it is accepted.
private func complaints(_ yaml: String) -> [String] {
    do {
        _ = try parse(yaml)
        return []
    } catch {
        return error.description.split(separator: "\n").map(String.init)
    }
}

private func cidr(_ text: String) throws -> CIDR { try CIDR(parsing: text) }

@Suite("Answers file: reading")
struct AnswersFileReadingTests {
    @Test("the smallest file gives the defaults")
    func smallest() throws {
        let expected = Answers(
            admins: [], services: [], ports: [], ping: .repliesOnly, ssh: nil, ipv6: true, log: false, existing: .keep)
        #expect(try parse("version: 1\n") == expected)
        #expect(Answers() == expected)
    }

    @Test("every key is read")
    func everything() throws {
        let yaml = """
            version: 1
            admins: [192.168.1.33, "2001:db8:5::/64"]   # full access
            services:
              - ssh
              - web
              - { name: mail, from: [192.168.1.0/24] }
            ports: [8080/tcp, 60000-61000/udp]
            ping: limited
            ssh: { ports: [22, 2222], from: admins }
            ipv6: true
            log: true
            existing: replace
            """
        let expected = Answers(
            admins: [try cidr("192.168.1.33"), try cidr("2001:db8:5::/64")],
            services: [
                ServiceChoice("ssh"), ServiceChoice("web"),
                ServiceChoice("mail", from: .networks([try cidr("192.168.1.0/24")])),
            ],
            ports: [
                PortChoice(try PortSpec(parsing: "8080/tcp")), PortChoice(try PortSpec(parsing: "60000-61000/udp")),
            ],
            ping: .limited, ssh: SSHAnswer(ports: [22, 2222], from: .admins), ipv6: true, log: true,
            existing: .replace)
        #expect(try parse(yaml) == expected)
        #expect(try parse(yaml.split(separator: "\n").joined(separator: "\r\n")) == expected)
        #expect(try parse("\u{feff}" + yaml) == expected)
    }

    @Test("a service is for everyone, the admins or a list, in both YAML layouts")
    func sources() throws {
        let yaml = """
            version: 1
            admins: []
            services:
              - name: web
                from: everyone
              - {name: mail, from: "admins"}
              - name: dns
                from:
                  - 10.0.0.0/8
                  - 2001:db8::1
              - {name: postgres}
            ssh:
              from: [10.1.2.3]
            """
        let lists = Source.networks([try cidr("10.0.0.0/8"), try cidr("2001:db8::1")])
        #expect(
            try parse(yaml)
                == Answers(
                    services: [
                        ServiceChoice("web", from: .everyone), ServiceChoice("mail", from: .admins),
                        ServiceChoice("dns", from: lists), ServiceChoice("postgres"),
                    ],
                    ssh: SSHAnswer(ports: nil, from: .networks([try cidr("10.1.2.3")]))))
    }

    @Test("an SSH answer with only ports leaves it open to everyone, and ssh among the services changes nothing")
    func sshAlone() throws {
        #expect(
            try parse("version: 1\nservices: [ssh]\nssh: {ports: [2222]}\n")
                == Answers(services: [ServiceChoice("ssh")], ssh: SSHAnswer(ports: [2222], from: .everyone)))
        #expect(try parse("version: 1\nssh: {}\n").ssh == SSHAnswer())
    }

    @Test("every word of every enum is read", arguments: PingPolicy.allCases, ExistingRules.allCases)
    func words(ping: PingPolicy, existing: ExistingRules) throws {
        #expect(
            try parse("version: 1\nping: \(ping.rawValue)\nexisting: \(existing.rawValue)\n")
                == Answers(ping: ping, existing: existing))
    }

    @Test("docker: answers and open", arguments: DockerPolicy.allCases)
    func docker(docker: DockerPolicy) throws {
        #expect(try parse("version: 1\ndocker: \(docker.rawValue)\n") == Answers(docker: docker))
    }

    @Test("ipv6: false works with IPv4 addresses")
    func withoutIPv6() throws {
        #expect(
            try parse("version: 1\nadmins: [10.0.0.1]\nipv6: false\n")
                == Answers(admins: [try cidr("10.0.0.1")], ipv6: false))
    }
}

@Suite("Answers file: writing")
struct AnswersFileWritingTests {
    @Test("the file explains itself")
    func whole() throws {
        let answers = Answers(
            admins: [try cidr("192.168.1.33"), try cidr("2001:db8:5::/64")],
            services: [ServiceChoice("ssh"), ServiceChoice("mail", from: .networks([try cidr("2001:db8::/32")]))],
            ssh: SSHAnswer(ports: [22], from: .admins))
        let lines = AnswersFile.render(answers).split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(
            lines == [
                "version: 1", "admins:", "  - 192.168.1.33", "  - \"2001:db8:5::/64\"", "block: []", "services:",
                "  - ssh",
                "  - { name: mail, from: [\"2001:db8::/32\"] }", "ports: []", "ping: replies-only",
                "ssh: { ports: [22], from: admins }", "ipv6: true", "log: false", "existing: keep",
                "docker: open",
            ])
        #expect(AnswersFile.render(Answers()).split(separator: "\n").allSatisfy { $0.count <= 80 })
    }

    @Test("written answers are read back unchanged", arguments: 0..<200 as Range<UInt64>)
    func inverse(seed: UInt64) throws {
        var random = SeededNumbers(seed: seed)
        let answers = AnswersGenerator.answers(&random)
        let written = AnswersFile.render(answers)
        let names = ServiceNames(AnswersGenerator.names)
        #expect(try AnswersFile.parse(written, file: "answers.yaml", services: names) == answers, "\(written)")
    }

    @Test("answers that could not be read back are not written")
    func tooLong() {
        let addresses = (0..<70_000).map { "10.\($0 / 62_500).\($0 / 250 % 250).\($0 % 250)" }
        let yaml = "version: 1\nadmins: [\(addresses.joined(separator: ","))]\n"
        #expect(yaml.utf8.count < StrictYAML.sizeLimit)
        let lines = complaints(yaml)
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("answers.yaml:1: As a file, these answers take ") == true, "\(lines)")
    }
}
