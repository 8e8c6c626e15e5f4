import Netfilter
import Policy
import Testing

@testable import Interview

@Suite("The review")
struct ReviewTests {
    private func review(_ answers: Answers, _ discovery: Discovery? = nil, columns: Int = 80) throws -> String {
        Review(
            context: try Machine.context(discovery, answers: answers), summary: .tutorial,
            screen: Screen(columns: columns)
        ).lines.text
    }

    @Test("who can reach what, row by row")
    func rows() throws {
        let answers = Answers(
            admins: [try Machine.network("192.168.1.33")],
            services: [
                ServiceChoice("web"), ServiceChoice("mail", from: .networks([try Machine.network("192.168.1.0/24")])),
                ServiceChoice("postgres"),
            ], ports: [PortChoice(try PortSpec(parsing: "8080/tcp"))], ping: .limited)
        let text = try review(answers)
        for row in [
            "  ssh 22                     open          open",
            "  web 80 443                 open          open",
            "  mail 25 143 465 587 993    open          only 192.168.1.0/24",
            String(repeating: " ", count: 43) + "nothing listens there",
            "  postgres 5432              open          closed   listens locally only",
            "  8080/tcp                   open          open     nothing listens there",
            "  node 3000                  open          closed   ! 198.51.100.44 is connected",
            "  ping                       open          a few per second",
            "  everything else            open          closed",
        ] {
            #expect(text.split(separator: "\n").contains { $0 == row }, "\(row)\n\(text)")
        }
    }

    @Test("the review says how many addresses of a file were merged")
    func merged() throws {
        let networks = try ["10.0.0.0/8", "10.1.2.3", "10.1.2.4"].map(Machine.network)
        let file = AddressFile(path: "/etc/latchkey/admins.txt", networks: networks)
        let text = try review(Answers(admins: AddressList(files: [file])))
        let said = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        let note = "admins: 2 of 3 addresses and networks are inside others of the list and were merged with them."
        #expect(said.contains(note), "\(text)")
    }

    @Test("UDP is shown separately if TCP does not have the same port")
    func transports() throws {
        let text = try review(
            Answers(services: [ServiceChoice("wireguard"), ServiceChoice("dns"), ServiceChoice("web")]))
        for name in ["wireguard 51820/udp ", "dns 53 ", "web 80 443 "] { #expect(text.contains(name), "\(name)") }
    }

    @Test("without administrators there is one column")
    func noAdmins() throws {
        let text = try review(Answers(services: [ServiceChoice("web")]))
        #expect(!text.contains("admins"))
        #expect(text.hasPrefix("Review                       everyone"))
    }

    @Test("an answer that blocks you is reported beside its row")
    func shutOut() throws {
        let text = try review(Answers(ssh: SSHAnswer(from: .admins)))
        #expect(text.contains("! locks you out, 203.0.113.7"))
    }

    @Test("the table matches the plan for admins, strangers and listed addresses")
    func agreesWithPlan() throws {
        let answers = Answers(
            admins: [try Machine.network("192.168.1.33")],
            services: [
                ServiceChoice("web"), ServiceChoice("mail", from: .networks([try Machine.network("198.51.100.0/24")])),
            ],
            ports: [PortChoice(try PortSpec(parsing: "8080/tcp"))], ssh: SSHAnswer(from: .admins))
        let catalog = try TemplateCatalog.builtIn()
        let plan = try Plan(answers: answers, catalog: catalog, sshPorts: [22])
        let openings = answers.openings(catalog, sshPorts: [22])
        let context = QuestionContext(
            discovery: Discovery(), catalog: catalog, answers: answers, answered: [], hasProposals: false)
        for text in ["192.168.1.33", "203.0.113.7", "198.51.100.9"] {
            let address = try Machine.address(text)
            for transport in TransportProtocol.allCases {
                for port: UInt16 in [1, 22, 25, 80, 443, 993, 3000, 8080] {
                    let shown =
                        context.admits(address, from: .admins)
                        || openings.contains { $0.covers(port, transport) && context.admits(address, from: $0.source) }
                    #expect(
                        shown == plan.accepts(from: address, transport: transport, port: port),
                        "\(text) \(port)/\(transport)")
                }
            }
        }
    }

    @Test("rules that belong to no known program are shown before they are removed")
    func unowned() throws {
        let summary = ChangeSummary(
            rulesRemoved: 1, rulesAdded: 13, replacedRules: ["-A INPUT -p tcp -m tcp --dport 8443 -j ACCEPT"])
        let text = Review(context: try Machine.context(), summary: summary, screen: Screen()).lines.text
        #expect(
            text.contains(
                "This rule belongs to no known program and will be removed:\n    -A INPUT -p tcp -m tcp --dport 8443 -j ACCEPT"
            ))
    }

    @Test("a port that one answer limits and another opens is open, also for SSH")
    func overlapping() throws {
        let answers = Answers(
            admins: [try Machine.network("192.168.1.33")], ports: [PortChoice(try PortSpec(parsing: "1-65535/tcp"))],
            ssh: SSHAnswer(from: .admins))
        let text = try review(answers)
        #expect(text.contains("  ssh 22                     open          open"))
        #expect(!text.contains("locks you out"))
        let closed = try review(
            Answers(admins: [try Machine.network("192.168.1.33")], ssh: SSHAnswer(from: .admins)))
        #expect(closed.contains("  ssh 22                     open          closed   ! locks you out, 203.0.113.7"))
    }

    @Test("a review without changes says so")
    func unchanged() throws {
        let summary = ChangeSummary(rulesRemoved: 0, rulesAdded: 0)
        let text = Review(context: try Machine.context(), summary: summary, screen: Screen()).lines.text
        #expect(text.contains("Rules: no changes."))
    }

    @Test("other firewalls are listed whether their rules are kept or replaced")
    func rivals() throws {
        var discovery = try Machine.discovery()
        discovery.otherFirewalls = ["firewalld", "nft table inet filter"]
        let text = Review(context: try Machine.context(discovery), summary: .tutorial, screen: Screen()).lines.text
        let flat = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(flat.contains("! firewalld and nft table inet filter are also active. Their rules apply in addition"))
    }

    @Test("blocked IPv6 is shown instead of the same rules for both families")
    func closedIPv6() throws {
        #expect(try review(Answers(ipv6: false)).contains("All other IPv6 is blocked."))
    }
}
