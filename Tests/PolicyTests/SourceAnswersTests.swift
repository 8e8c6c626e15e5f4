import Netfilter
import Policy
import Testing

@Suite("Answers: interfaces, limits and blocked sources")
struct SourceAnswersTests {
    private func parse(_ yaml: String) throws(DataErrors) -> Answers {
        try AnswersFile.parse(yaml, file: "answers.yaml", services: ServiceNames(["ssh", "web", "mail"]))
    }

    @Test("an interface is a source wherever there are sources, and it need not exist")
    func interfaces() throws {
        let answers = try parse(
            """
            version: 1
            admins: [192.168.1.33, { interface: wg0 }]
            block: [{ interface: eth9.100 }]
            services: [{ name: mail, from: [{ interface: tun0 }] }]
            ports: [{ port: 8080/tcp, from: [{ interface: br-lan }] }]
            ssh: { from: [{ interface: tailscale0 }] }
            """)
        #expect(answers.admins.interfaces.map(\.text) == ["wg0"])
        #expect(answers.block.interfaces.map(\.text) == ["eth9.100"])
        #expect(answers.services[0].from == .networks(AddressList(interfaces: [try InterfaceName(parsing: "tun0")])))
        #expect(answers.ports[0].from == .networks(AddressList(interfaces: [try InterfaceName(parsing: "br-lan")])))
        #expect(
            answers.ssh?.from == .networks(AddressList(interfaces: [try InterfaceName(parsing: "tailscale0")])))
    }

    @Test(
        "a name that no interface can have is refused with its line",
        arguments: [
            ("a234567890123456", "too long"), ("a/b", "not the name"), ("a b", "not the name"), ("eth+", "\"+\""),
            ("wg*", "\"*\""), ("..", "not the name"), ("-x", "not the name"), ("lo", "loopback"), ("\"\"", "empty"),
            ("é", "not the name"), ("a:1", "not the name"), ("\"a\\\"b\"", "not the name"),
        ])
    func badInterface(name: String, message: String) throws {
        let error = #expect(throws: DataErrors.self) { try parse("version: 1\nadmins:\n  - interface: \(name)\n") }
        let mistake = try #require(error?.mistakes.first)
        #expect(error?.mistakes.count == 1 && mistake.line == 3 && mistake.message.contains(message), "\(mistake)")
    }

    @Test(
        "a limit is a number of connections and a time",
        arguments: [
            ("6/30s", 6, 30, "6/30s"), ("6/30", 6, 30, "6/30s"), ("10/1m", 10, 60, "10/1m"),
            ("10/60s", 10, 60, "10/1m"),
            ("1/1s", 1, 1, "1/1s"), ("1000/24h", 1_000, 86_400, "1000/24h"), ("5/90s", 5, 90, "5/90s"),
        ])
    func limits(text: String, count: Int, seconds: Int, shown: String) throws {
        let answers = try parse("version: 1\nssh: { limit: \(text) }\n")
        let limit = try #require(answers.ssh?.limit)
        #expect(limit.count == count && limit.seconds == seconds && limit.description == shown)
    }

    @Test("a limit of the service ssh is refused, because only the key ssh decides about SSH")
    func limitOfServiceSSH() throws {
        let error = #expect(throws: DataErrors.self) {
            try parse("version: 1\nservices:\n  - { name: ssh, limit: 6/30s }\n")
        }
        let mistake = try #require(error?.mistakes.first)
        #expect(mistake.line == 3 && "\(mistake)".contains("ssh: { limit: 6/30s }"), "\(mistake)")
        #expect(try parse("version: 1\nservices: [ssh, { name: web, limit: 6/30s }]\n").ssh == nil)
    }

    @Test(
        "a limit that limits nothing, or nobody could keep, is refused",
        arguments: [
            "0/30s", "6/0s", "6/week", "6", "6/", "/30s", "-6/30s", "6/30d", "6/30 s", "6//30s", "1001/30s", "6/25h",
            "6/86401", "٦/30s", "6/30s/2", "99999999999999999999/1s", "6.5/30s", "+6/30s",
        ])
    func badLimits(text: String) throws {
        for line in ["ssh: { limit: \(text) }", "services: [{ name: web, limit: \(text) }]"] {
            let error = #expect(throws: DataErrors.self) { try parse("version: 1\n\(line)\n") }
            let mistake = try #require(error?.mistakes.first)
            #expect(mistake.line == 2 && mistake.file == "answers.yaml" && mistake.text == text, "\(mistake)")
        }
    }

    @Test(
        "a rate is as exact as iptables and nft can write it",
        arguments: [
            ("6/30s", "12/min"), ("100/1m", "100/min"), ("60/1m", "1/sec"), ("7/11s", "54981/day"), ("1/24h", "1/day"),
            ("3/1s", "3/sec"), ("5/2h", "60/day"),
        ])
    func rates(text: String, rate: String) throws {
        let found = try RateLimit(parsing: text).rate
        #expect("\(found.count)/\(found.unit.rawValue)" == rate)
    }

    @Test("an admin cannot be blocked, in either direction")
    func overlaps() throws {
        for (admins, block, shown) in [
            ("[192.168.1.33]", "[192.168.1.0/24]", "192.168.1.33"), ("[10.0.0.0/8]", "[10.1.2.3]", "10.1.2.3"),
            ("[\"2001:db8::/32\"]", "[\"2001:db8:5::/48\"]", "2001:db8:5::/48"),
            ("[{ interface: wg0 }]", "[{ interface: wg0 }]", "wg0"),
        ] {
            let error = #expect(throws: DataErrors.self) {
                try parse("version: 1\nadmins: \(admins)\nblock: \(block)\n")
            }
            let mistake = try #require(error?.mistakes.first)
            #expect(mistake.line == 3 && mistake.message.contains(shown), "\(mistake)")
        }
        for everything in ["\"::/0\"", "0.0.0.0/0"] {
            let error = #expect(throws: DataErrors.self) { try parse("version: 1\nblock: [\(everything)]\n") }
            #expect(error?.mistakes.first?.line == 2)
        }
        #expect(try parse("version: 1\nadmins: [10.0.0.1]\nblock: [10.0.0.2, 10.0.1.0/24]\n").block.networks.count == 2)
    }

    @Test("overlaps are found in long lists too")
    func longOverlap() throws {
        let many = try (0..<50_000).map { try CIDR(parsing: "10.\($0 / 256 / 256).\($0 / 256 % 256).\($0 % 256)") }
        let list = AddressList(many)
        #expect(list.overlap(with: AddressList([try CIDR(parsing: "10.0.195.79")])) != nil)
        #expect(list.overlap(with: AddressList([try CIDR(parsing: "10.0.195.80")])) == nil)
        #expect(AddressList([try CIDR(parsing: "10.0.128.0/17")]).overlap(with: list) != nil)
        #expect(
            list.overlap(with: AddressList([try CIDR(parsing: "9.0.0.0/8"), try CIDR(parsing: "11.0.0.0/8")])) == nil)
    }

    @Test("blocked sources reach nothing, admins are never blocked, and an interface counts like an address")
    func acceptance() throws {
        let answers = try parse(
            """
            version: 1
            admins: [{ interface: wg0 }]
            block: [198.51.100.0/24]
            services: [web]
            """)
        let plan = try Plan(answers: answers, catalog: TemplateCatalog.builtIn(), sshPorts: [22])
        let (blocked, other) = (try IPAddress(parsing: "198.51.100.9"), try IPAddress(parsing: "203.0.113.9"))
        #expect(!plan.accepts(from: blocked, transport: .tcp, port: 80))
        #expect(!plan.acceptsPing(from: blocked))
        #expect(plan.accepts(from: blocked, transport: .tcp, port: 5432, on: "wg0"))
        #expect(plan.accepts(from: other, transport: .tcp, port: 80))
        #expect(!plan.accepts(from: other, transport: .tcp, port: 5432))
        #expect(plan.accepts(from: other, transport: .tcp, port: 5432, on: "wg0"))
        #expect(!plan.accepts(from: other, transport: .tcp, port: 5432, on: "wg01"))
    }

    @Test(
        "a limit of SSH that makes a person wait long is pointed out",
        arguments: [
            ("1/24h", "after 1 login from one address, the next one has to wait about 24 hours"),
            ("6/1h", "after 6 logins from one address, the next one has to wait about 10 minutes"),
            ("6/30s", nil), ("10/30m", nil), ("1/1m", nil),
        ])
    func slowLogins(limit: String, text: String?) throws {
        let note = try parse("version: 1\nssh: { limit: \(limit) }\n").slowLoginNote
        #expect(text.map { note?.contains($0) == true } ?? (note == nil), "\(note ?? "none")")
        #expect(try parse("version: 1\nssh: { from: admins, limit: \(limit) }\n").slowLoginNote == nil)
    }

    @Test("a source of the service ssh, which has no effect, is pointed out")
    func unusedSource() throws {
        let notes = try parse("version: 1\nservices: [{ name: ssh, from: [192.0.2.1] }]\n").notes
        #expect(notes.count == 1 && notes[0].contains("\"ssh: { from: ... }\""), "\(notes)")
        #expect(try parse("version: 1\nservices: [ssh, { name: web, from: [192.0.2.1] }]\n").notes.isEmpty)
    }

    @Test("a source is an interface or a file, and not both or neither")
    func oneSource() throws {
        for text in ["{ interface: wg0, file: x }", "{}"] {
            let error = #expect(throws: DataErrors.self) { try parse("version: 1\nadmins: [\(text)]\n") }
            #expect(error?.mistakes.first?.line == 2)
        }
    }
}
