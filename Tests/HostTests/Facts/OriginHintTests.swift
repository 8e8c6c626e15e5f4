import Netfilter
import Testing

@testable import Host

@Suite("The probable origin of a session without a connection above its process")
struct OriginHintTests {
    /// Two logins of ops, from 203.0.113.7 (monitor 20) and from elsewhere (monitor 30); tmux's server is pid 50.
    private func machine(
        clients: [(pid: Int32, parent: Int32)], user: UInt32 = 1000, variable: String? = nil
    ) throws -> SSHConnections {
        let machine = try FakeMachine()
        try machine.addProcess(1, parent: 0, "systemd")
        for (monitor, socket) in [(Int32(20), UInt64(40)), (30, 41)] {
            try machine.addProcess(monitor, parent: 1, "sshd", sockets: [4: socket])
            try machine.addProcess(monitor + 1, parent: monitor, "bash", user: 1000)
        }
        try machine.addProcess(50, parent: 1, "tmux: server", user: 1000)
        try machine.addProcess(
            51, parent: 50, "latchkey", user: 1000, environment: variable.map { ["SSH_CONNECTION=\($0)"] } ?? [])
        for client in clients { try machine.addProcess(client.pid, parent: client.parent, "tmux: client", user: user) }
        try machine.setTCP(
            [
                row(Ends.server, Ends.client, "01", inode: 40),
                row(Ends.server, "086433C6:C351", "01", inode: 41),
            ], ofProcesses: [20, 30])
        return SSHConnections(machine.processes, ownAddresses: [])
    }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(hostText: text)) }

    @Test("inside tmux it is the login whose client shows the window")
    func window() throws {
        let hint = try machine(clients: [(60, 21)], variable: "192.0.2.1 50000 198.51.100.20 22").hint(of: 51)
        #expect(
            hint
                == OriginHint(address: try address("203.0.113.7"), port: 22, evidence: .window(program: "tmux")))
    }

    @Test("with two logins from different addresses at one window it is unknown who types, and the variable remains")
    func ambiguous() throws {
        let connections = try machine(
            clients: [(60, 21), (61, 31)], variable: "192.0.2.1 50000 198.51.100.20 2222")
        #expect(
            connections.hint(of: 51)
                == OriginHint(address: try address("192.0.2.1"), port: 2222, evidence: .variable))
    }

    @Test("another user's tmux is not considered")
    func otherUser() throws {
        #expect(try machine(clients: [(60, 21)], user: 1001).hint(of: 51) == nil)
    }

    @Test(
        "a variable that does not have sshd's four words is ignored",
        arguments: ["", "203.0.113.7", "a 1 b 2", "203.0.113.7 50000 198.51.100.20 70000"])
    func variable(text: String) throws {
        #expect(try machine(clients: [], variable: text).hint(of: 51) == nil)
    }

    @Test(
        "chain names show which program owns them",
        arguments: [
            ("DOCKER-USER", "docker"), ("f2b-sshd", "fail2ban"), ("ufw-before-input", "ufw"), ("INPUT", nil),
            ("my-chain", nil),
        ])
    func owner(chain: String, owner: String?) {
        #expect(KnownFirewall.owner(ofChain: chain) == owner)
    }
}
