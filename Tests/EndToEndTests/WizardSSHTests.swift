import Foundation
import TestSupport
import Testing

/// A server with a real sshd, and an outside to log in from; sshd and all logins end with the namespaces.
private final class SSHScene {
    let pair: NamespacePair
    let folder: TemporaryFolder
    /// latchkey's own files.
    let root: TemporaryFolder

    static let server = "192.0.2.2"

    init() async throws {
        pair = try await NamespacePair()
        folder = try TemporaryFolder()
        root = try TemporaryFolder()
        for key in ["host", "user"] {
            try await mustRun(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "\(folder.path)/\(key)"])
        }
        try folder.write(
            """
            Port 22
            HostKey \(folder.path)/host
            AuthorizedKeysFile \(folder.path)/user.pub
            StrictModes no
            UsePAM no
            PidFile none
            PasswordAuthentication no

            """, to: "config")
        try await pair.server.mustRun(["mkdir", "-m", "755", "/run/sshd"])
        sshd = try pair.server.start(["/usr/sbin/sshd", "-D", "-f", "\(folder.path)/config"])
        for _ in 0..<100 {
            if try await pair.server.mustRun(["ss", "-Hltn", "sport", "=", ":22"]).contains(":22") { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw SpawnError("sshd does not listen")
    }

    private let sshd: Child

    deinit {
        kill(sshd.id, SIGKILL)
        pair.close()
    }

    /// Logs in from the outside on a terminal, and runs a command there.
    func logIn(_ command: String) throws -> Pty {
        let words = try pair.outside.enterCommand(
            [
                "ssh", "-tt", "-F", "none", "-i", "\(folder.path)/user", "-o", "StrictHostKeyChecking=no", "-o",
                "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "root@\(Self.server)",
                "export LATCHKEY_ROOT=\(root.path); \(command)",
            ])
        return try Pty(words[0], Array(words.dropFirst()))
    }

    /// Starts a change with the wizard over a first login.
    func beginChange() async throws -> Pty {
        let pty = try logIn("\(Latchkey.path) setup --deadline 120")
        try await pty.expect("you         192.0.2.1, by SSH, port 22", within: .seconds(30))
        let prompts = [
            "admins [192.0.2.1] > ", "ssh [everyone] > ", "services [", "ports [none] > ", "ping [nobody] > ",
        ]
        for prompt in prompts {
            try await pty.expect(prompt)
            try await pty.line("")
        }
        try await pty.expect("quit [apply] > ", within: .seconds(60))
        try await pty.line("")
        try await pty.expect("Now log in from a second terminal: ssh ", within: .seconds(60))
        try await pty.expect("@\(Self.server)")
        try await pty.expect("no new login yet > ")
        return pty
    }
}

@Suite("The wizard over a real SSH connection", .kernel, .sshd, .inTurn)
struct WizardSSHTests {
    @Test("a new login is detected during the countdown, and then keep is enough")
    func freshConnection() async throws {
        let scene = try await SSHScene()
        let first = try await scene.beginChange()
        try await first.line("keep")
        try await first.expect("No new login yet. Your current connection")
        let second = try scene.logIn("sleep 60")
        try await first.expect("A new SSH login from 192.0.2.1 succeeded.", within: .seconds(20))
        try await first.expect("keep / revert / more > ")
        try await first.line("keep")
        try await first.expect("Kept", within: .seconds(30))
        #expect(try await first.exit(within: .seconds(30)) == 0)
        await second.hangUp()
    }

    @Test("after a dropped connection and a new login, latchkey offers to keep, and Enter keeps")
    func dropped() async throws {
        let scene = try await SSHScene()
        let first = try await scene.beginChange()
        await first.hangUp()
        let second = try scene.logIn("\(Latchkey.path)")
        try await second.expect("A change is pending, ", within: .seconds(30))
        try await second.expect("You are on a new connection from 192.0.2.1: a new SSH login was tested.")
        try await second.expect("keep / revert / wait [keep] > ")
        try await second.line("")
        try await second.expect("Kept", within: .seconds(30))
        #expect(try await second.exit(within: .seconds(30)) == 0)
    }

    @Test("a login to the sshd of another network, for example a container's, does not count")
    func loginElsewhere() async throws {
        let here = try await WizardSession(["--deadline", "60"])
        try await here.reachReview()
        try await here.pty.line("")
        try await here.pty.expect("The new rules are active.", within: .seconds(60))
        let scene = try await SSHScene()
        let elsewhere = try scene.logIn("echo in; sleep 60")
        try await elsewhere.expect("in", within: .seconds(20))
        // The guard looks once a second.
        try await Task.sleep(for: .seconds(3))
        #expect(await !here.pty.screen.contains("A new SSH login"))
        await elsewhere.hangUp()
        // Nor does entering the network that the rules protect.
        let words = try here.server.enterCommand([Latchkey.path, "confirm"]).joined(separator: " ")
        let confirming = try scene.logIn("export LATCHKEY_ROOT=\(here.root.path); \(words); echo ended $?")
        try await confirming.expect("goes to another network", within: .seconds(20))
        try await confirming.expect("ended 7", within: .seconds(20))
        await confirming.hangUp()
    }

    @Test("under sudo's bare environment the address is still found")
    func bareEnvironment() async throws {
        let scene = try await SSHScene()
        let pty = try scene.logIn("env -i TERM=xterm LATCHKEY_ROOT=$LATCHKEY_ROOT \(Latchkey.path) setup")
        try await pty.expect("you         192.0.2.1, by SSH, port 22", within: .seconds(30))
        try await pty.expect("admins [192.0.2.1] > ")
    }

    @Test("inside tmux the address is that of the login whose window it is", .tool("tmux"))
    func insideTmux() async throws {
        let scene = try await SSHScene()
        let pty = try scene.logIn(
            "tmux -S \(scene.folder.path)/tmux -f /dev/null new-session '\(Latchkey.path) setup; sleep 5'")
        try await pty.expect("192.0.2.1, by SSH, through tmux", within: .seconds(30))
        try await pty.expect("admins [192.0.2.1] > ")
        try await pty.send("\u{3}")
        try await pty.expect("Nothing was changed.")
    }
}
