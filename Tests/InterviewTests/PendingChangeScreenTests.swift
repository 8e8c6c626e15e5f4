import Netfilter
import Testing

@testable import Interview

@Suite("The screen of a pending change")
struct PendingChangeScreenTests {
    private func screen(_ entry: PendingChangeScreen.Entry = .begun) -> PendingChangeScreen {
        PendingChangeScreen(secondsLeft: 60, entry: entry, loginTest: .login(command: "ssh ops@198.51.100.20"))
    }

    @Test("the prompt contains the countdown")
    func countdown() throws {
        var screen = screen()
        screen.tick(secondsLeft: 47)
        #expect(screen.prompt == "  47 s   no new login yet > ")
        screen.tick(secondsLeft: -1)
        #expect(screen.secondsLeft == 0)
    }

    @Test("a new login is reported once and changes the prompt")
    func freshLogin() throws {
        var screen = screen()
        screen.tick(secondsLeft: 31)
        let peer = try Machine.address("203.0.113.7")
        #expect(screen.freshConnection(from: peer).text == "  A new SSH login from 203.0.113.7 succeeded.")
        #expect(screen.freshConnection(from: peer) == [])
        #expect(screen.prompt == "  31 s   keep / revert / more > ")
    }

    @Test("keep needs a new login, or the longer command", arguments: ["keep", "KEEP", "y"])
    func keepUntested(word: String) throws {
        var screen = screen()
        let refused = screen.input(word)
        #expect(refused.request == nil)
        #expect(refused.lines.text.contains("type: keep untested"))
        for longer in ["keep untested", "keep unproven"] {
            #expect(screen.input(longer).request == .confirm(sameConnection: true))
        }
        _ = screen.freshConnection(from: nil)
        // The guard has detected the new login, so the old connection may confirm.
        #expect(screen.input(word).request == .confirm(sameConnection: true))
    }

    @Test("at a local console no new login is required")
    func console() {
        var screen = PendingChangeScreen(secondsLeft: 60, loginTest: .notPossible(reason: "You are not here by SSH."))
        #expect(screen.input("keep").request == .confirm(sameConnection: false))
    }

    @Test(
        "each word sends its request to the guard",
        arguments: [
            ("revert", PendingChangeScreen.Request.revert), ("more", .extend), ("", nil), ("wait", nil), ("show", nil),
            ("?", nil),
            ("quit", nil), ("back", nil), ("nonsense\u{1B}[2J", nil),
        ])
    func words(word: String, request: PendingChangeScreen.Request?) {
        var screen = screen()
        let turn = screen.input(word)
        #expect(turn.request == request)
        #expect(!turn.lines.text.contains("\u{1B}"))
    }

    @Test("Ctrl-C is explained the first time and leaves the second time; a command in between resets it")
    func interrupted() {
        var screen = screen()
        #expect(screen.interrupted().request == nil)
        _ = screen.input("wait")
        #expect(screen.interrupted().request == nil)
        #expect(screen.interrupted().request == .leave)
    }

    @Test("the end of input still waits for the outcome")
    func endOfInput() {
        var screen = screen()
        #expect(screen.endOfInput().request == .wait)
    }

    @Test("in a throwaway network no new login is required, whatever the connection looks like")
    func trial() {
        var screen = PendingChangeScreen(secondsLeft: 60, loginTest: .notRequired(reason: "Nobody can log in here."))
        #expect(screen.input("keep").request == .confirm(sameConnection: true))
    }

    @Test("after a dropped connection Enter keeps the rules for a user with a new login")
    func resumed() throws {
        var screen = screen(.resumed(newLoginFrom: try Machine.address("203.0.113.7")))
        screen.tick(secondsLeft: 38)
        #expect(
            screen.begin().text == """
                A change is pending, 38 s left.
                You are on a new connection from 203.0.113.7: a new SSH login was tested.
                """)
        #expect(screen.freshConnection(from: nil) == [])
        #expect(screen.prompt == "  38 s   keep / revert / wait [keep] > ")
        #expect(screen.input("").request == .confirm(sameConnection: true))
    }

    @Test("after a dropped connection Enter keeps nothing over an old connection, even if a new login was detected")
    func resumedOld() {
        var screen = screen(.resumed(newLoginFrom: nil))
        #expect(screen.begin().text.contains("ssh ops@198.51.100.20"))
        #expect(screen.prompt.hasSuffix("no new login yet > "))
        #expect(screen.input("").request == nil)
        _ = screen.freshConnection(from: nil)
        #expect(screen.prompt.hasSuffix("keep / revert / wait > "))
        #expect(screen.input("").request == nil)
        #expect(screen.input("keep").request == .confirm(sameConnection: true))
    }

    @Test(
        "every ending says which rules are active",
        arguments: [
            (
                PendingChangeScreen.Ending.kept(
                    saved: ["/etc/iptables/rules.v4", "rules.v6"], undo: "20261122-154210"),
                """

                Kept, and saved to disk (/etc/iptables/rules.v4, rules.v6).
                Undo: sudo latchkey snapshots restore 20261122-154210
                """
            ),
            (
                .kept(saved: ["a"], undo: "1", notes: ["Mind this."]),
                "\nKept, and saved to disk (a).\nMind this.\nUndo: sudo latchkey snapshots restore 1"
            ),
            (.kept(saved: [], undo: nil), "\nKept. Active until reboot. Not saved to disk."),
            (
                .keptOnTrial,
                """

                Kept. In a real setup, the rules would also be saved to disk.
                This was a test run. Nothing on this machine was changed. To set it up, run:
                sudo latchkey
                """
            ),
            (
                .reverted(.deadline, verified: true),
                "\nNot kept within 60 s: rolled back. The previous rules are active (verified)."
            ),
            (
                .reverted(.request, verified: false),
                "\nRolled back, as you requested. The previous rules are active (not verified)."
            ),
            (
                .reverted(.failure("iptables-restore said no."), verified: true),
                """

                The new rules could not be activated: iptables-restore said no. The previous
                rules are active (verified).
                """
            ),
            (.failed(["The emergency opening is active."]), "\nThe emergency opening is active."),
        ])
    func endings(outcome: PendingChangeScreen.Ending, expected: String) {
        #expect(screen().ended(outcome).text == expected)
    }

    @Test("after a deadline was extended, the final message contains no number of seconds")
    func extended() {
        var screen = screen()
        screen.tick(secondsLeft: 20)
        #expect(screen.extended(secondsLeft: 80).text == "  More time: 80 s left.")
        #expect(screen.ended(.reverted(.deadline, verified: true)).text.contains("Not kept in time: rolled back."))
        #expect(screen.extended(secondsLeft: 80).text == "  No more time: the limit is one hour.")
    }
}
