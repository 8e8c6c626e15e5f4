import Testing

@testable import Host

/// A runner with one fixed answer.
private struct OneAnswer: CommandRunner {
    let result: Result<CommandResult, HostError>

    func run(_ command: Command) async throws(HostError) -> CommandResult {
        guard command == Command("/usr/sbin/sshd", ["-T"]) else {
            throw .toolMissing(name: command.program, lookedIn: [])
        }
        return try result.get()
    }

    static func says(_ text: String) -> Self {
        Self(result: .success(CommandResult(status: 0, output: Array(text.utf8))))
    }
    static let refuses = Self(result: .success(CommandResult(status: 255, message: "sshd: no hostkeys available")))
}

@Suite("The ports of the SSH server")
struct SSHServerTests {
    private func ports(_ runner: OneAnswer, _ arrange: (FakeMachine) throws -> Void = { _ in }) async throws -> SSHPorts
    {
        let machine = try FakeMachine()
        try arrange(machine)
        return await SSHServer(machine.source).ports(sshd: "/usr/sbin/sshd", runner: runner)
    }

    @Test(
        "sshd's own output is read",
        arguments: [
            ("port 22\nlistenaddress [::]:22\nlistenaddress 0.0.0.0:22\n", [22]),
            ("port 22\nport 2222\nlistenaddress 0.0.0.0:22\nlistenaddress 0.0.0.0:2222\n", [22, 2222]),
            ("port 22\nlistenaddress 192.0.2.1:2022\n", [2022]), ("Port 2200\n", [2200]),
            ("port 22\nlistenaddress 0.0.0.0:22 rdomain blue\n", [22]), ("port x\nport 70000\nport\n", []), ("", []),
        ] as [(String, [UInt16])])
    func configuration(text: String, expected: [UInt16]) async throws {
        let found = try await ports(.says(text))
        #expect(found.ports == expected)
        #expect(found.problems.isEmpty)
    }

    @Test("if sshd does not answer, its files are read, and the result says so")
    func fallback() async throws {
        let found = try await ports(.refuses) {
            try $0.write(
                "# Port 1\nInclude x\nPort 2201\nListenAddress [::]:2202\nListenAddress ::1\nMatch all\nPort 3\n",
                to: "/etc/ssh/sshd_config")
            try $0.write("Port=2203\n", to: "/etc/ssh/sshd_config.d/a.conf")
            try $0.write("Port 2204\n", to: "/etc/ssh/sshd_config.d/a.conf.bak")
        }
        #expect(found.ports == [2201, 2202, 2203])
        #expect(found.problems.count == 1)
        #expect(found.problems.first?.contains("no hostkeys") == true)
    }

    @Test("files without a port mean 22; without files the port is unknown")
    func fallbackDefault() async throws {
        #expect(try await ports(.refuses) { try $0.write("UsePAM yes\n", to: "/etc/ssh/sshd_config") }.ports == [22])
        #expect(try await ports(.refuses).ports.isEmpty)
    }

    @Test("an enabled socket unit counts with its drop-ins; a disabled one does not")
    func socketUnits() async throws {
        let unit = "[Socket]\nListenStream=22\nAccept=no\n"
        let dropIn =
            "[Socket]\nListenStream=\nListenStream=0.0.0.0:2222\nListenStream = [::]:2223\nListenStream=/run/x\n"
        #expect(try await ports(.says("")) { try $0.write(unit, to: "/lib/systemd/system/ssh.socket") }.ports.isEmpty)
        let found = try await ports(.says("")) {
            try $0.write(unit, to: "/lib/systemd/system/ssh.socket")
            try $0.write(dropIn, to: "/etc/systemd/system/ssh.socket.d/override.conf")
            try $0.write("[Socket]\nListenStream=9\n", to: "/lib/systemd/system/ssh.socket.d/override.conf")
            try $0.link("/etc/systemd/system/sockets.target.wants/ssh.socket", to: "/lib/systemd/system/ssh.socket")
        }
        #expect(found.ports == [2222, 2223])
    }

    @Test("a masked socket unit does not count")
    func masked() async throws {
        let found = try await ports(.says("")) {
            try $0.write("ListenStream=22\n", to: "/lib/systemd/system/ssh.socket")
            try $0.link("/etc/systemd/system/ssh.socket", to: "/dev/null")
            try $0.link("/etc/systemd/system/sockets.target.wants/ssh.socket", to: "/lib/systemd/system/ssh.socket")
        }
        #expect(found.ports.isEmpty)
    }

    @Test("a socket that PID 1 holds open counts even if its unit is not enabled")
    func activeSocket() async throws {
        let found = try await ports(.says("")) {
            try $0.write("ListenStream=22\n", to: "/usr/lib/systemd/system/sshd.socket")
            try $0.addProcess(1, parent: 0, "systemd", sockets: [40: 7])
            try $0.setTCP([row(Ends.listener, Ends.any, "0A", inode: 7)])
        }
        #expect(found.evidence == [22: [.socketUnit(file: "/usr/lib/systemd/system/sshd.socket")]])
    }

    @Test("a running listener counts, and ports forwarded by a session do not")
    func living() async throws {
        let found = try await ports(.says("port 22\n")) {
            try $0.addProcess(10, parent: 1, "sshd", arguments: ["sshd: x [listener]"], sockets: [3: 7])
            try $0.addProcess(20, parent: 10, "sshd", arguments: ["sshd: root@pts/0"], sockets: [9: 8])
            try $0.addProcess(30, parent: 1, "sshd", user: 1000, arguments: ["sshd -D"], sockets: [3: 9])
            try $0.setTCP([
                row("00000000:08AE", Ends.any, "0A", inode: 7), row("0100007F:1F90", Ends.any, "0A", inode: 8),
                row("00000000:1F91", Ends.any, "0A", inode: 9),
            ])
        }
        #expect(found.ports == [22, 2222])
        #expect(found.evidence[2222] == [.listener(program: "sshd")])
    }

    @Test("without sshd nothing is run")
    func withoutServer() async throws {
        let machine = try FakeMachine()
        let found = await SSHServer(machine.source).ports(sshd: nil, runner: OneAnswer.refuses)
        #expect(found == SSHPorts())
    }
}
