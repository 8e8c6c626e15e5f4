import Import
import Netfilter
import Policy
import Testing

@Suite("Importing what is said of SSH")
struct SSHImportTests {
    private func ssh(_ rules: String, _ machine: ImportMachine = ImportMachine(families: [.ipv4])) throws -> SSHAnswer?
    {
        try Imports.of(try Imports.iptables(rules), machine).answers.ssh
    }

    @Test("the networks that may log in are kept")
    func networks() throws {
        #expect(
            try ssh("-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT")
                == SSHAnswer(ports: [22], from: .networks(try Imports.networks("10.0.0.0/8"))))
    }

    @Test(
        "a condition that answers cannot say does not shut SSH",
        arguments: [
            "-A INPUT -p tcp -m tcp --dport 22 -m limit --limit 5/min -j ACCEPT",
            "-A INPUT -i tun+ -p tcp -m tcp --dport 22 -j ACCEPT",
            """
            -A INPUT -p tcp -m tcp --dport 22 -m recent --rcheck --seconds 30 --name knocked -j DROP
            -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
            """,
        ])
    func odd(rules: String) throws {
        #expect(try ssh(rules) == SSHAnswer(ports: [22], from: .everyone))
    }

    @Test("the present connection stays possible even if no rule is found for it")
    func caller() throws {
        var machine = ImportMachine(families: [.ipv4])
        machine.caller = try IPAddress(parsing: "198.51.100.4")
        machine.callerPort = 22
        #expect(
            try ssh("-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT", machine)
                == SSHAnswer(ports: [22], from: .networks(try Imports.networks("198.51.100.4"))))
        #expect(
            try ssh("-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT", machine)
                == SSHAnswer(ports: [22], from: .networks(try Imports.networks("10.0.0.0/8", "198.51.100.4"))))
    }

    @Test("without a rule for SSH and without a connection it stays closed")
    func closed() throws {
        #expect(try ssh("-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT") == SSHAnswer(ports: [22], from: .admins))
    }

    @Test("ports with other limits than the one in use are not opened along with it")
    func severalPorts() throws {
        var machine = ImportMachine(sshPorts: [22, 2222], families: [.ipv4])
        let rules = """
            -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
            -A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 2222 -j ACCEPT
            """
        #expect(try ssh(rules, machine) == SSHAnswer(ports: [22], from: .everyone))
        machine.caller = try IPAddress(parsing: "10.0.0.7")
        machine.callerPort = 2222
        let result = try Imports.of(Imports.iptables(rules), machine)
        #expect(
            result.answers.ssh == SSHAnswer(ports: [2222], from: .networks(try Imports.networks("10.0.0.0/8"))))
        #expect(result.answers.ports.map(\.ports.description) == ["22/tcp"])
    }

    @Test("22 is an ordinary port where sshd listens elsewhere")
    func otherPort() throws {
        let machine = ImportMachine(sshPorts: [2200], families: [.ipv4])
        let result = try Imports.of(
            Imports.iptables("-A INPUT -p tcp -m multiport --dports 22,2200 -j ACCEPT"), machine)
        #expect(result.answers.ssh == SSHAnswer(ports: [2200], from: .everyone))
        #expect(result.answers.ports.map(\.ports.description) == ["22/tcp"])
    }
}
