import Import
import Netfilter
import Policy
import Testing

@Suite("Importing iptables")
struct IPTablesImportTests {
    private static let usual = """
        -A INPUT -i lo -j ACCEPT
        -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        -A INPUT -m conntrack --ctstate INVALID -j DROP

        """

    @Test("ports, a service, admins, SSH and ping become answers")
    func answers() throws {
        let result = try Imports.of(
            Imports.iptables(
                Self.usual + """
                    -A INPUT -s 10.1.0.0/16 -j ACCEPT
                    -A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT
                    -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
                    -A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT
                    -A INPUT -p udp -m udp --dport 443 -j ACCEPT
                    -A INPUT -s 10.9.0.0/24 -p tcp -m tcp --dport 5432 -j ACCEPT
                    -A INPUT -p udp -m udp --dport 60000:61000 -m comment --comment "mosh" -j ACCEPT
                    """,
                Self.usual + """
                    -A INPUT -p ipv6-icmp -j ACCEPT
                    -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
                    -A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT
                    -A INPUT -p udp -m udp --dport 443 -j ACCEPT
                    -A INPUT -p udp -m udp --dport 60000:61000 -j ACCEPT
                    """))
        #expect(result.answers.admins == (try Imports.networks("10.1.0.0/16")))
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
        #expect(
            result.answers.services == [
                ServiceChoice("mosh"), ServiceChoice("web"),
                ServiceChoice("postgres", from: .networks(try Imports.networks("10.9.0.0/24"))),
            ])
        #expect(result.answers.ports.isEmpty)
        #expect(result.answers.ping == .everyone)
        #expect(result.answers.ipv6)
        #expect(result.omitted.isEmpty)
        #expect(result.imported.contains { $0.rule.contains("--dports 80,443") && $0.answer == "services: web" })
    }

    @Test("a service that the rules open only in part becomes ports")
    func partial() throws {
        let result = try Imports.of(
            Imports.iptables("-A INPUT -p tcp -m multiport --dports 22,80,443 -j ACCEPT"))
        #expect(result.answers.services.isEmpty)
        #expect(result.answers.ports.map(\.ports.description) == ["80/tcp", "443/tcp"])
    }

    @Test("an earlier rule beats a later one")
    func order() throws {
        let result = try Imports.of(
            Imports.iptables(
                """
                -A INPUT -p tcp -m tcp --dport 8080 -j DROP
                -A INPUT -p tcp -m tcp --dport 8000:8100 -j ACCEPT
                -A INPUT -p tcp -m tcp --dport 8090 -j DROP
                -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
                """))
        #expect(result.answers.ports.map(\.ports.description) == ["8000-8079/tcp", "8081-8100/tcp"])
    }

    @Test("a port that is blocked for one network only stays closed for all, except SSH")
    func blockedNetwork() throws {
        let result = try Imports.of(
            Imports.iptables(
                """
                -A INPUT -s 203.0.113.0/24 -p tcp -m multiport --dports 80,443 -j DROP
                -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
                -A INPUT -p tcp -m tcp --dport 80 -j ACCEPT
                """))
        #expect(result.answers.ports.isEmpty)
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
        let web = try #require(result.omitted.first { $0.rule.contains("--dport 80") })
        #expect(web.reason.contains("203.0.113.0/24"))
        #expect(web.effect == "closed: 80/tcp; to open it to everyone, add 80/tcp to \"ports\"")
        #expect(result.answers.block.isEmpty)
    }

    @Test("a rule that blocks all but one network leaves it to that network")
    func allBut() throws {
        let result = try Imports.of(
            Imports.iptables(
                """
                -A INPUT ! -s 10.0.0.0/8 -p tcp -m tcp --dport 3306 -j DROP
                -A INPUT -p tcp -m tcp --dport 3306 -j ACCEPT
                -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
                """, "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"))
        #expect(
            result.answers.services == [
                ServiceChoice("mysql", from: .networks(try Imports.networks("10.0.0.0/8")))
            ])
        #expect(result.answers.ports.isEmpty)
    }

    @Test(
        "conditions that answers cannot say leave the port closed",
        arguments: [
            "-m recent --name x --rcheck --seconds 60", "-m hashlimit --hashlimit-upto 3/min --hashlimit-name x",
            "-m set --match-set allowed src", "-m mac --mac-source 00:00:5e:00:53:01", "-m mark --mark 0x1",
            "-d 192.0.2.9/32", "-m tcp --sport 1024:65535", "-m limit --limit 5/min", "-m time --timestart 08:00",
            "-i wg0", "-m string --string x --algo bm",
        ])
    func unknown(condition: String) throws {
        var machine = ImportMachine()
        machine.addresses = [try IPAddress(parsing: "192.0.2.2"), try IPAddress(parsing: "192.0.2.9")]
        let result = try Imports.of(
            Imports.iptables(
                """
                -A INPUT -p tcp \(condition) -m tcp --dport 8443 -j ACCEPT
                -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
                """, "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"), machine)
        #expect(result.answers.ports.isEmpty && result.answers.services.isEmpty)
        #expect(result.omitted.contains { $0.rule.contains("--dport 8443") && $0.effect.hasPrefix("closed: 8443/tcp") })
    }

    @Test("conditions behind the target count, too")
    func behindTarget() throws {
        let result = try Imports.of(
            Imports.iptables(
                """
                -A INPUT -p tcp --dport 8443 -j ACCEPT -m limit --limit 5/min
                -A INPUT -p tcp --dport 8444 -j ACCEPT -s 10.0.0.0/8
                -A INPUT -p tcp --dport 22 -j ACCEPT
                """, "-A INPUT -p tcp --dport 22 -j ACCEPT"))
        let network = try CIDR(parsing: "10.0.0.0/8")
        #expect(
            result.answers.ports == [PortChoice(try PortSpec(parsing: "8444/tcp"), from: .networks([network]))])
        #expect(result.omitted.count == 1)
    }

    @Test("chains are followed: jumps, goto and RETURN")
    func chains() throws {
        let result = try Imports.of(
            Imports.iptables(
                """
                :TCP - [0:0]
                :LAN - [0:0]
                :LAST - [0:0]
                -A INPUT -p tcp -j TCP
                -A INPUT -s 10.0.0.0/8 -g LAN
                -A INPUT -p tcp -m tcp --dport 9000 -j ACCEPT
                -A TCP -p tcp -m tcp --dport 22 -j ACCEPT
                -A TCP -p tcp -m tcp --dport 25 -j RETURN
                -A TCP -p tcp -m tcp --dport 20:30 -j ACCEPT
                -A LAN -p udp -m udp --dport 161 -j ACCEPT
                """, "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"))
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
        // 20-30 without 25, which returns and is then dropped; 9000 is not open to 10.0.0.0/8, which went away.
        #expect(result.answers.ports.isEmpty)
        let ports = result.omitted.map(\.effect).joined(separator: "\n")
        #expect(ports.contains("9000/tcp"))
        #expect(
            result.answers.services.contains(
                ServiceChoice("snmp", from: .networks(try Imports.networks("10.0.0.0/8")))))
    }

    @Test("what is open over IPv4 only stays closed over IPv6")
    func oneFamily() throws {
        let result = try Imports.of(
            Imports.iptables(
                "-A INPUT -p tcp -m multiport --dports 22,8080 -j ACCEPT",
                "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"))
        #expect(result.answers.ipv6)
        #expect(result.answers.ports.isEmpty)
        #expect(result.omitted.contains { $0.reason == "open over IPv4 only" && $0.effect.contains("8080/tcp") })
    }

    @Test("IPv6 that is blocked as a whole is an answer of its own")
    func noIPv6() throws {
        let result = try Imports.of(
            Imports.iptables("-A INPUT -p tcp -m multiport --dports 22,8080 -j ACCEPT", "-A INPUT -i lo -j ACCEPT"))
        #expect(!result.answers.ipv6)
        #expect(result.answers.ports.map(\.ports.description) == ["8080/tcp"])
    }

    @Test("an interface that all packets come in through is no limit; one of several is")
    func interfaces() throws {
        let rules = try Imports.iptables(
            """
            -A INPUT -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT
            -A INPUT -i eth0 -p tcp -m tcp --dport 8080 -j ACCEPT
            """)
        let one = try Imports.of(rules, ImportMachine(interfaces: ["eth0"]))
        #expect(one.answers.ports.map(\.ports.description) == ["8080/tcp"])
        #expect(one.omitted.isEmpty)
        let two = try Imports.of(rules, ImportMachine(interfaces: ["eth0", "eth1"]))
        let from = Source.networks(AddressList(interfaces: [try InterfaceName(parsing: "eth0")]))
        #expect(two.answers.ports == [PortChoice(try PortSpec(parsing: "8080/tcp"), from: from)])
        #expect(two.answers.ssh == SSHAnswer(ports: [22], from: from))
        #expect(two.omitted.isEmpty)
    }

    @Test("a firewall that accepts what it does not block opens what something listens on")
    func acceptingPolicy() throws {
        let machine = ImportMachine(
            listening: [
                try PortSpec(parsing: "22/tcp"), try PortSpec(parsing: "8080/tcp"), try PortSpec(parsing: "3306/tcp"),
            ])
        let result = try Imports.of(
            Imports.iptables("-A INPUT -p tcp -m tcp --dport 3306 -j DROP", policy: "ACCEPT"), machine)
        #expect(result.answers.ports.map(\.ports.description) == ["8080/tcp"])
        #expect(result.answers.ping == .everyone)
        #expect(result.omitted.contains { $0.rule == "INPUT's policy ACCEPT" })
    }

    @Test("a firewall that lets everything in is none")
    func open() throws {
        let source = try Imports.iptables("-A INPUT -i lo -j ACCEPT", policy: "ACCEPT")
        #expect(try Importer.answers(from: source, catalog: Imports.catalog(), machine: ImportMachine()) == nil)
    }

    @Test("rules that never meet an ordinary packet do not close anything")
    func harmless() throws {
        let result = try Imports.of(
            Imports.iptables(
                """
                -A INPUT -m conntrack --ctstate INVALID -j DROP
                -A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP
                -A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j DROP
                -A INPUT -f -j DROP
                -A INPUT -s 127.0.0.0/8 ! -i lo -j DROP
                -A INPUT -m addrtype --dst-type BROADCAST -j DROP
                -A INPUT -m rpfilter --invert -j DROP
                -A INPUT -p tcp -m multiport --dports 22,8080 -j ACCEPT
                """, "-A INPUT -p tcp -m multiport --dports 22,8080 -j ACCEPT"))
        #expect(result.answers.ports.map(\.ports.description) == ["8080/tcp"])
        #expect(result.omitted.isEmpty)
    }

    @Test("chains of programs that go on are left to them")
    func neighbours() throws {
        let text = """
            *filter
            :INPUT DROP [0:0]
            :f2b-sshd - [0:0]
            -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
            -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
            -A f2b-sshd -s 198.51.100.9/32 -j REJECT --reject-with icmp-port-unreachable
            -A f2b-sshd -j RETURN
            COMMIT

            """
        let source = IPTablesFilter([.ipv4: try RuleSet(parsing: text, file: "rules")]) { $0.hasPrefix("f2b-") }
        let result = try Imports.of(source, ImportMachine(families: [.ipv4]))
        #expect(result.omitted.isEmpty)
        #expect(
            result.notes == ["The chain f2b-sshd belongs to another program: it stays, and its rules are not imported."]
        )
    }

    @Test("text of rules cannot break out of the comments")
    func hostileText() throws {
        let text =
            "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"
            + "-A INPUT -p tcp -m mark --mark 0x1 -m comment --comment \"a\nadmins: [0.0.0.0/0]\u{85}\u{2028}b\" -j ACCEPT\n"
            + "COMMIT\n"
        let source = IPTablesFilter([.ipv4: try RuleSet(dumped: text, file: "rules")])
        let result = try Imports.of(source, ImportMachine(families: [.ipv4]))
        #expect(result.answers.admins.isEmpty)
        #expect(!result.omitted.isEmpty)
    }
}
