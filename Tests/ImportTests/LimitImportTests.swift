import Import
import Netfilter
import Policy
import Testing

/// Rules that limit what they allow: to an interface, to a number of connections, or by blocking a source.
@Suite("Importing interfaces, blocked sources and limits")
struct LimitImportTests {
    private static let ssh = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"
    private static let web = "-A INPUT -p tcp -m multiport --dports 80,8080 -j ACCEPT\n"

    private func interfaces(_ names: String...) throws -> AddressList {
        AddressList(interfaces: try names.map(InterfaceName.init(parsing:)))
    }

    // MARK: - Interfaces

    @Test("everything from an interface makes it an admin, whether it exists now or not")
    func fullInterface() throws {
        for machine in [ImportMachine(), ImportMachine(interfaces: ["eth0", "wg0"])] {
            let result = try Imports.of(
                Imports.iptables("-A INPUT -i wg0 -j ACCEPT\n" + Self.ssh + Self.web), machine)
            #expect(result.answers.admins == (try interfaces("wg0")))
            #expect(result.answers.ports.map(\.ports.description) == ["80/tcp", "8080/tcp"])
            #expect(result.answers.ports.allSatisfy { $0.from == .everyone })
            #expect(result.omitted.isEmpty, "\(result.omitted)")
            let row = result.imported.filter { $0.rule.contains("--dports") }
            #expect(row.allSatisfy { !$0.answer.contains("admins") })
        }
    }

    @Test("one over which only some ports are open limits those")
    func limitedInterface() throws {
        let rules = Self.ssh + "-A INPUT -i wg0 -p tcp -m tcp --dport 9090 -j ACCEPT\n"
        let result = try Imports.of(Imports.iptables(rules))
        let from = Source.networks(try interfaces("wg0"))
        #expect(
            result.answers.ports.map(\.from) + result.answers.services.compactMap(\.from) == [from],
            "\(result.answers)")
        #expect(result.omitted.isEmpty)
        // Over IPv4 only, it cannot be said.
        let one = try Imports.of(Imports.iptables(rules, Self.ssh))
        #expect(one.answers.ports.isEmpty && one.answers.services.isEmpty)
        #expect(one.omitted.count == 1)
    }

    @Test("a port that is closed on one interface is open on the others only")
    func closedInterface() throws {
        let result = try Imports.of(
            Imports.iptables(Self.ssh + "-A INPUT -i eth1 -p tcp -m tcp --dport 8080 -j DROP\n" + Self.web),
            ImportMachine(interfaces: ["eth0", "eth1"]))
        #expect(
            result.answers.ports == [
                PortChoice(try PortSpec(parsing: "80/tcp")),
                PortChoice(try PortSpec(parsing: "8080/tcp"), from: .networks(try interfaces("eth0"))),
            ])
    }

    @Test("the bridges of containers say nothing about the other interfaces")
    func guests() throws {
        let result = try Imports.of(
            Imports.iptables(
                Self.ssh + Self.web + "-A INPUT -i docker0 -p tcp -m tcp --dport 9090 -j ACCEPT\n"
                    + "-A INPUT -i docker0 -j DROP\n"))
        #expect(result.answers.ports.filter { $0.from == .everyone }.count == 2)
    }

    @Test("SSH through a tunnel only stays there, and open for the present connection")
    func tunnel() throws {
        let rules = try Imports.iptables("-A INPUT -i tailscale0 -p tcp -m tcp --dport 22 -j ACCEPT\n" + Self.web)
        #expect(
            try Imports.of(rules).answers.ssh == SSHAnswer(ports: [22], from: .networks(interfaces("tailscale0"))))
        var machine = ImportMachine()
        machine.caller = try IPAddress(parsing: "198.51.100.4")
        machine.callerPort = 22
        var from = try interfaces("tailscale0")
        from.networks = [CIDR(try IPAddress(parsing: "198.51.100.4"))]
        #expect(try Imports.of(rules, machine).answers.ssh == SSHAnswer(ports: [22], from: .networks(from)))
    }

    @Test("an interface of nftables, alone and in a list")
    func nftables() throws {
        let result = try Imports.of(
            Imports.nft(
                """
                table inet filter {
                \tchain input {
                \t\ttype filter hook input priority filter; policy drop;
                \t\ttcp dport 22 accept
                \t\tiifname "wg0" accept
                \t\tiifname { "lan0", "lan1" } tcp dport 8080 accept
                \t}
                }

                """))
        #expect(result.answers.admins == (try interfaces("wg0")))
        #expect(result.answers.ports.map(\.from) == [.networks(try interfaces("lan0", "lan1"))])
    }

    // MARK: - Blocked sources

    @Test("a source that is blocked ahead of everything is blocked, and closes nothing else")
    func block() throws {
        let result = try Imports.of(
            Imports.iptables(
                "-A INPUT -s 203.0.113.0/24 -j DROP\n-A INPUT -s 198.51.100.9 -j REJECT\n" + Self.ssh + Self.web,
                Self.ssh + Self.web))
        #expect(result.answers.block == (try Imports.networks("198.51.100.9", "203.0.113.0/24")))
        #expect(result.answers.ports.map(\.ports.description) == ["80/tcp", "8080/tcp"])
        #expect(result.omitted.isEmpty, "\(result.omitted)")
    }

    @Test(
        "one that may use what is allowed ahead of that is blocked with a remark, but no private network that can log in"
    )
    func order() throws {
        let block = "-A INPUT -s 203.0.113.0/24 -j DROP\n"
        let late = try Imports.of(Imports.iptables(Self.web + block + Self.ssh, Self.web + Self.ssh))
        #expect(late.answers.block == (try Imports.networks("203.0.113.0/24")))
        #expect(late.omitted.contains { $0.effect == "closed: also 80/tcp, 8080/tcp from 203.0.113.0/24" })
        let login = try Imports.of(Imports.iptables(Self.ssh + block + Self.web, Self.ssh + Self.web))
        #expect(login.answers.block == (try Imports.networks("203.0.113.0/24")))
        #expect(login.omitted.contains { $0.effect == "closed: also 22/tcp from 203.0.113.0/24" })
        let useless = try Imports.of(
            Imports.iptables(Self.ssh + "-A INPUT -s 10.1.0.0/16 -j DROP\n" + Self.web, Self.ssh + Self.web))
        #expect(useless.answers.block.isEmpty)
        #expect(useless.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
        #expect(useless.answers.ports.isEmpty)
    }

    @Test("one that is blocked only for SSH is blocked altogether, with a remark")
    func onlySSH() throws {
        let result = try Imports.of(
            Imports.iptables(
                "-A INPUT -s 203.0.113.9 -p tcp -m tcp --dport 22 -j DROP\n" + Self.ssh + Self.web,
                Self.ssh + Self.web))
        #expect(result.answers.block == (try Imports.networks("203.0.113.9")))
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
        #expect(result.answers.ports.count == 2)
        #expect(result.omitted.contains { $0.effect == "closed: everything from 203.0.113.9" })
    }

    @Test("a network with rules of its own, or with the present connection, is not blocked")
    func exceptions() throws {
        let block = "-A INPUT -s 203.0.113.0/24 -j DROP\n"
        let own = "-A INPUT -s 203.0.113.9 -p tcp -m tcp --dport 22 -j ACCEPT\n"
        #expect(
            try Imports.of(Imports.iptables(own + block + Self.ssh, Self.ssh)).answers.block.isEmpty)
        var machine = ImportMachine()
        machine.caller = try IPAddress(parsing: "203.0.113.4")
        machine.callerPort = 22
        #expect(
            try Imports.of(Imports.iptables(block + Self.ssh, Self.ssh), machine).answers.block.isEmpty)
    }

    @Test("an admin is never blocked: a network with a blocked part is none")
    func admins() throws {
        let result = try Imports.of(
            Imports.iptables(
                "-A INPUT -s 10.1.0.0/16 -j DROP\n-A INPUT -s 10.0.0.0/8 -j ACCEPT\n" + Self.ssh, Self.ssh))
        #expect(result.answers.block == (try Imports.networks("10.1.0.0/16")))
        #expect(result.answers.admins.isEmpty)
        #expect(result.omitted.contains { $0.rule.contains("10.0.0.0/8") })
    }

    // MARK: - Limits

    @Test(
        "a number of connections from each address becomes a limit",
        arguments: [
            (
                "-m hashlimit --hashlimit-upto 10/min --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name x",
                "5/30s"
            ),
            (
                "-m hashlimit --hashlimit-upto 3/hour --hashlimit-burst 3 --hashlimit-mode srcip --hashlimit-name x",
                "3/1h"
            ),
            ("-m hashlimit --hashlimit-upto 2/sec --hashlimit-mode srcip,dstport --hashlimit-name x", "5/3s"),
        ])
    func upTo(match: String, limit: String) throws {
        let result = try Imports.of(
            Imports.iptables(Self.ssh + "-A INPUT -p tcp -m tcp --dport 8080 \(match) -j ACCEPT\n"))
        #expect(
            result.answers.ports
                == [PortChoice(try PortSpec(parsing: "8080/tcp"), limit: try RateLimit(parsing: limit))])
    }

    @Test(
        "what is beyond a number is dropped first",
        arguments: [
            ("-m recent --update --seconds 60 --hitcount 4 --name x --mask 255.255.255.255 --rsource", "3/1m"),
            ("-m recent --rcheck --seconds 3600 --hitcount 11 --name x --rsource", "10/1h"),
            (
                "-m hashlimit --hashlimit-above 6/min --hashlimit-burst 6 --hashlimit-mode srcip --hashlimit-name x",
                "6/1m"
            ),
        ])
    func over(match: String, limit: String) throws {
        let result = try Imports.of(
            Imports.iptables(
                "-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m recent --set --name x --rsource\n"
                    + "-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW \(match) -j DROP\n" + Self.ssh))
        #expect(result.answers.ssh == SSHAnswer(ports: [22], limit: try RateLimit(parsing: limit)))
        #expect(result.omitted.isEmpty)
    }

    @Test(
        "what counts otherwise is no limit on each address",
        arguments: [
            "-m limit --limit 10/min", "-m hashlimit --hashlimit-upto 3/min --hashlimit-name x",
            "-m hashlimit --hashlimit-upto 3/min --hashlimit-mode srcip --hashlimit-srcmask 24 --hashlimit-name x",
            "-m hashlimit --hashlimit-upto 512kb/s --hashlimit-mode srcip --hashlimit-name x",
            "-m recent --rcheck --seconds 60 --hitcount 3 --name x", "-m recent --rcheck --name knocked",
        ])
    func others(match: String) throws {
        let result = try Imports.of(
            Imports.iptables(Self.ssh + "-A INPUT -p tcp -m tcp --dport 8080 \(match) -j ACCEPT\n"))
        #expect(result.answers.ports.isEmpty)
        #expect(result.omitted.count == 1)
    }

    @Test("a network that is allowed ahead of a limit is not limited")
    func exempt() throws {
        let result = try Imports.of(
            Imports.iptables(
                """
                -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
                -A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 8080 -j ACCEPT
                -A INPUT -p tcp -m tcp --dport 8080 -m recent --update --seconds 30 --hitcount 6 -j DROP
                -A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT

                """,
                """
                -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
                -A INPUT -p tcp -m tcp --dport 8080 -m recent --update --seconds 30 --hitcount 6 -j DROP
                -A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT

                """))
        let port = try PortSpec(parsing: "8080/tcp")
        #expect(
            Set(result.answers.ports) == [
                PortChoice(port, limit: try RateLimit(parsing: "5/30s")),
                PortChoice(port, from: .networks(try Imports.networks("10.0.0.0/8"))),
            ])
    }
}
