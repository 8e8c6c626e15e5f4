import Foundation
import TestSupport
import Testing

@Suite("The wizard's change on a terminal", .kernel, .inTurn)
struct WizardChangeTests {
    @Test("latchkey try: from the start to kept with Enter and one word, in at most twelve answers")
    func enterAlone() async throws {
        let root = try TemporaryFolder()
        let pty = try Pty(Latchkey.path, ["try"], environment: Latchkey.environment(root: root))
        var answers = 0
        func answer(_ line: String) async throws {
            answers += 1
            try await pty.line(line)
        }
        // A throwaway network has no rules in INPUT, so the sixth question is not asked.
        for prompt in [
            "admins [192.0.2.1] > ", "ssh [everyone] > ", "services [", "ports [none] > ", "ping [nobody] > ",
        ] {
            try await pty.expect(prompt, within: .seconds(30))
            try await answer("")
        }
        try await pty.expect("New rules roll back after 60 s unless you keep", within: .seconds(60))
        try await pty.expect("quit [apply] > ", within: .seconds(60))
        try await answer("")
        try await pty.expect("The new rules are active.", within: .seconds(60))
        try await pty.expect("keep / revert / more > ")
        // Enter alone does nothing here.
        try await answer("")
        try await answer("keep")
        try await pty.expect("Kept. In a real setup, the rules would also be saved", within: .seconds(30))
        try await pty.expect("This was a test run. Nothing on this machine was changed.")
        #expect(try await pty.exit(within: .seconds(30)) == 0)
        #expect(answers <= 12)
        #expect(try FileManager.default.contentsOfDirectory(atPath: root.path).isEmpty)
    }

    @Test("the countdown continues while a line is typed, more adds time, and revert rolls back")
    func countdown() async throws {
        let session = try await WizardSession()
        let before = try await session.server.dump(.ipv4, .nft)
        try await session.reachReview()
        let pty = session.pty
        try await pty.line("deadline 9d")
        try await pty.expect("\"9d\" is not a duration; write 45, 45s or 5m.")
        try await pty.line("deadline 40s")
        try await pty.expect("The new rules will roll back after 40 s unless you keep them.")
        try await pty.line("apply")
        try await pty.expect("They roll back in 40 s unless you keep them.", within: .seconds(60))
        try await pty.send("mo")
        // The prompt is redrawn several times.
        try await Task.sleep(for: .milliseconds(2_500))
        try await pty.send("re\r")
        try await session.see("More time: 9")
        #expect(try await session.server.dump(.ipv4, .nft) != before)
        try await pty.line("revert")
        for _ in 0..<300 where await !pty.screen.contains("(verified).") {
            try await Task.sleep(for: .milliseconds(100))
        }
        try await session.see("Rolled back, as you requested. The previous rules are active (verified).")
        try await session.see("Your answers are saved. Run latchkey again to resume.")
        #expect(try await pty.exit(within: .seconds(30)) == 3)
        #expect(try await session.server.dump(.ipv4, .nft) == before)
    }

    @Test("Ctrl-C in the countdown is explained, then leaves; the next latchkey offers the pending change first")
    func leftAlone() async throws {
        let session = try await WizardSession(["--deadline", "60"])
        try await session.reachReview()
        try await session.pty.line("")
        try await session.pty.expect("The new rules are active.", within: .seconds(60))
        try await session.pty.expect(" s   ")
        try await session.pty.send("\u{3}")
        try await session.pty.expect("Ctrl-C again leaves")
        try await session.pty.expect("keep / revert / more > ")
        try await session.pty.send("\u{3}")
        try await session.pty.expect("You have left the wizard.")
        #expect(try await session.pty.exit() == 0)

        let next = try await WizardSession(on: session.server, root: session.root)
        try await next.pty.expect("A change is pending, ", within: .seconds(20))
        try await next.pty.expect("keep / revert / wait")
        try await next.pty.line("revert")
        try await next.pty.expect("Rolled back, as you requested.", within: .seconds(30))
        #expect(try await next.pty.exit(within: .seconds(30)) == 3)
    }

    @Test("a terminal that closes during the countdown does not stop the rollback")
    func deadTerminal() async throws {
        let session = try await WizardSession(["--deadline", "10"])
        let before = try await session.server.dump(.ipv4, .nft)
        try await session.reachReview()
        try await session.pty.line("")
        try await session.pty.expect("The new rules are active.", within: .seconds(60))
        #expect(try await session.server.dump(.ipv4, .nft) != before)
        await session.pty.hangUp()
        _ = try await session.pty.exit(within: .seconds(40))
        let end = ContinuousClock.now + .seconds(40)
        while try await session.server.dump(.ipv4, .nft) != before {
            guard ContinuousClock.now < end else {
                Issue.record("the new rules did not roll back")
                return
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    @Test("a dropped connection leaves a draft that only root can read; the next latchkey resumes from it")
    func draft() async throws {
        let session = try await WizardSession()
        try await session.reach(.admins)
        try await session.pty.line("192.168.1.33")
        try await session.pty.expect("ssh [everyone] > ")
        try await session.pty.line("")
        try await session.pty.expect("services [")
        await session.pty.hangUp()
        _ = try await session.pty.exit()
        let path = session.root.path + "/var/lib/latchkey/draft.yaml"
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)

        let next = try await WizardSession(on: session.server, root: session.root)
        try await next.pty.expect("Your answers from last time, not in effect (2", within: .seconds(20))
        try await next.pty.expect("1 admins     192.168.1.33")
        try await next.pty.expect("resume / start over [resume] > ")
        try await next.pty.line("")
        try await next.pty.expect("3/6  ")
        try await next.pty.line("back")
        try await next.pty.line("back")
        try await next.pty.expect("admins [192.168.1.33] > ")
        try await next.pty.send("\u{3}")
        try await next.pty.expect("Your answers are saved. Run latchkey again to resume.")
        #expect(try await next.pty.exit() == 130)
    }

    @Test("kept answers have a date, delete the draft, and are the defaults the next time")
    func kept() async throws {
        let session = try await WizardSession()
        try await session.reach(.admins)
        try await session.pty.line("192.168.1.33")
        for prompt in ["ssh [everyone] > ", "services [", "ports [none] > ", "ping [nobody] > ", "existing [keep] > "] {
            try await session.pty.expect(prompt)
            try await session.pty.line("")
        }
        try await session.pty.expect("quit [apply] > ", within: .seconds(60))
        try await session.pty.line("")
        try await session.pty.expect("The new rules are active.", within: .seconds(60))
        try await session.pty.line("keep untested")
        try await session.pty.expect("Kept", within: .seconds(30))
        #expect(try await session.pty.exit(within: .seconds(30)) == 0)
        let kept = try session.root.read("etc/latchkey/answers.yaml")
        #expect(kept.hasPrefix("# Kept 2"))
        #expect(kept.contains("admins:\n  - 192.168.1.33") || kept.contains("admins: [192.168.1.33]"))
        #expect(!FileManager.default.fileExists(atPath: session.root.path + "/var/lib/latchkey/draft.yaml"))
        let next = try await WizardSession(on: session.server, root: session.root)
        try await next.pty.expect("admins [192.168.1.33] > ", within: .seconds(20))
    }
}
