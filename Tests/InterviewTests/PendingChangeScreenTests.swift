import Netfilter
import Testing

@testable import Interview

@Suite("The change on the screen")
struct PendingChangeScreenTests {
    private func screen(_ opening: PendingChangeScreen.Entry = .begun) -> PendingChangeScreen {
        PendingChangeScreen(secondsLeft: 60, opening: opening, proof: .login(command: "ssh ops@198.51.100.20"))
    }

    @Test("the countdown stands in the prompt")
    func countdown() throws {
        var screen = screen()
        screen.tick(secondsLeft: 47)
        #expect(screen.prompt == "  47 s   no new login yet > ")
        screen.tick(secondsLeft: -1)
        #expect(screen.secondsLeft == 0)
    }

    @Test("a new login is told once and changes what is asked")
    func freshLogin() throws {
        var screen = screen()
        screen.tick(secondsLeft: 31)
        let peer = try Machine.address("203.0.113.7")
        #expect(screen.freshConnection(from: peer).text == "  A new login from 203.0.113.7 got in: the door opens.")
        #expect(screen.freshConnection(from: peer) == [])
        #expect(screen.prompt == "  31 s   keep / revert / more > ")
    }

    @Test("keep needs a new login, or the stronger word", arguments: ["keep", "KEEP", "y"])
    func keepUnproven(word: String) throws {
        var screen = screen()
        let refused = screen.input(word)
        #expect(refused.request == nil)
        #expect(refused.lines.text.contains("type: keep unproven"))
        #expect(screen.input("keep unproven").request == .confirm(sameConnection: true))
        _ = screen.freshConnection(from: nil)
        // The guard has seen the new login: this old connection only passes the word on.
        #expect(screen.input(word).request == .confirm(sameConnection: true))
    }

    @Test("at a local console there is nothing to prove")
    func console() {
        var screen = PendingChangeScreen(secondsLeft: 60, proof: .impossible(reason: "You are not here by SSH."))
        #expect(screen.input("keep").request == .confirm(sameConnection: false))
    }

    @Test(
        "words and what they ask of the guard",
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

    @Test("Ctrl-C is explained first and obeyed then; a word between takes it back")
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

    @Test("in a throwaway network there is nothing to prove, whatever the connection looks like")
    func trial() {
        var screen = PendingChangeScreen(secondsLeft: 60, proof: .needless(reason: "Nobody can log in here."))
        #expect(screen.input("keep").request == .confirm(sameConnection: true))
    }

    @Test("after a dropped line Enter keeps for whoever came in anew")
    func resumed() throws {
        var screen = screen(.resumed(anewFrom: try Machine.address("203.0.113.7")))
        screen.tick(secondsLeft: 38)
        #expect(
            screen.begin().text == """
                A change is pending, 38 s left.
                You came in by a new connection, from 203.0.113.7: the door opens.
                """)
        #expect(screen.freshConnection(from: nil) == [])
        #expect(screen.prompt == "  38 s   keep / revert / wait [keep] > ")
        #expect(screen.input("").request == .confirm(sameConnection: true))
    }

    @Test("after a dropped line an old connection keeps nothing with Enter, not even when a new login was seen")
    func resumedOld() {
        var screen = screen(.resumed(anewFrom: nil))
        #expect(screen.begin().text.contains("ssh ops@198.51.100.20"))
        #expect(screen.prompt.hasSuffix("no new login yet > "))
        #expect(screen.input("").request == nil)
        _ = screen.freshConnection(from: nil)
        #expect(screen.prompt.hasSuffix("keep / revert / wait > "))
        #expect(screen.input("").request == nil)
        #expect(screen.input("keep").request == .confirm(sameConnection: true))
    }

    @Test(
        "every ending says what is in force",
        arguments: [
            (
                PendingChangeScreen.Ending.kept(
                    saved: ["/etc/iptables/rules.v4", "rules.v6"], undo: "20261122-154210"),
                """

                Kept, and saved for the next start (/etc/iptables/rules.v4, rules.v6).
                Undo: sudo latchkey snapshots restore 20261122-154210
                """
            ),
            (
                .kept(saved: ["a"], undo: "1", notes: ["Mind this."]),
                "\nKept, and saved for the next start (a).\nMind this.\nUndo: sudo latchkey snapshots restore 1"
            ),
            (.kept(saved: [], undo: nil), "\nKept until the next start; they are not saved for it."),
            (
                .keptOnTrial,
                """

                Kept; on the machine itself they would be saved for its next start.
                This was a trial: nothing of this machine has changed. For real: sudo latchkey
                """
            ),
            (
                .reverted(.deadline, verified: true),
                "\nNobody kept the new rules in 60 s. The earlier ones are back, and verified."
            ),
            (
                .reverted(.request, verified: false),
                "\nThe new rules are gone, as you asked. The earlier ones were put back; not\nverified."
            ),
            (
                .reverted(.failure("iptables-restore said no."), verified: true),
                """

                The new rules could not be put in force: iptables-restore said no. The earlier
                ones are back, and verified.
                """
            ),
            (.failed(["The emergency opening is in force."]), "\nThe emergency opening is in force."),
        ])
    func endings(outcome: PendingChangeScreen.Ending, expected: String) {
        #expect(screen().ended(outcome).text == expected)
    }

    @Test("more time counts into what is said at the end")
    func extended() {
        var screen = screen()
        screen.tick(secondsLeft: 20)
        #expect(screen.extended(secondsLeft: 80).text == "  More time: 80 s left.")
        #expect(screen.ended(.reverted(.deadline, verified: true)).text.contains("in time."))
        #expect(screen.extended(secondsLeft: 80).text == "  No more time can be had: an hour is the limit.")
    }
}
