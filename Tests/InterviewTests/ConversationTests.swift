import Netfilter
import Policy
import Testing

@testable import Interview

@Suite("The conversation")
struct ConversationTests {
    @Test("questions, review, rules, edit, apply")
    func whole() async throws {
        let prompter = ScriptedPrompter([
            .type("192.168.1.33 192.168.1.300", at: "admins [203.0.113.7] > "),
            .type("192.168.1.33", at: "admins > "), .type("", at: "ssh [everyone] > "),
            .type("web mail dns", at: "services [web] > "), .type("", at: "ports [none] > "),
            .type("", at: "ping [nobody] > "), .type("rules", at: "[apply] > "), .type("diff", at: "[apply] > "),
            .type("deadline 9d", at: "[apply] > "), .type("deadline 5m", at: "[apply] > "),
            .type("save /nowhere", at: "[apply] > "), .type("save", at: "[apply] > "),
            .type("edit 5", at: "[apply] > "),
            .type("limited", at: "ping [nobody] > "), .type("apply", at: "[apply] > "),
        ])
        let actions = FakeWizardActions()
        let (ending, wizard) = await Conversation(prompter: prompter, actions: actions).run(try Machine.wizard())
        await prompter.finish()
        #expect(ending == .apply)
        #expect(wizard.answers.services == [ServiceChoice("web"), ServiceChoice("mail"), ServiceChoice("dns")])
        #expect(wizard.answers.ping == .limited && wizard.deadline == 300)
        #expect(
            await actions.calls == [
                "compose", "rehearse", "rules", "diff", "deadline 9d", "deadline 5m", "save /nowhere", "save -",
                "compose", "rehearse",
            ])
        #expect(await prompter.prefills[1] == "192.168.1.33 192.168.1.300")
        #expect(await prompter.transcript.contains("\"/nowhere\" cannot be written."))
    }

    @Test("the end of input and Ctrl-C change nothing", arguments: [true, false])
    func leaving(byInterrupt: Bool) async throws {
        let prompter = ScriptedPrompter([
            .type("", at: "admins [203.0.113.7] > "), byInterrupt ? .interrupt : .endOfInput,
        ])
        let actions = FakeWizardActions()
        let (ending, _) = await Conversation(prompter: prompter, actions: actions).run(try Machine.wizard())
        await prompter.finish()
        #expect(ending == .quit)
        #expect(await actions.calls.isEmpty)
        #expect(await prompter.transcript.hasSuffix("Nothing was changed.\n"))
    }

    @Test("input typed before the review appeared is discarded")
    func typedAhead() async throws {
        let prompter = ScriptedPrompter(
            [.type("", at: "> "), .type("", at: "> "), .type("", at: "> "), .type("", at: "> "), .type("", at: "> ")]
                + [.type("quit", at: "[apply] > ")])
        _ = await Conversation(prompter: prompter, actions: FakeWizardActions()).run(try Machine.wizard())
        await prompter.finish()
        let discards = await prompter.discards
        #expect(discards.count == 1)
        // After the rehearsal, and before its result is shown.
        #expect(discards.first?.contains("Rehearsing with real packets") == true)
        #expect(discards.first?.contains("as expected") == false)
    }

    @Test("answers that no plan can be created from can be edited")
    func refused() async throws {
        let prompter = ScriptedPrompter([
            .type("", at: "> "), .type("", at: "> "), .type("", at: "> "), .type("", at: "> "), .type("", at: "> "),
            .type("apply", at: "edit 1-5 / save / quit [show] > "), .type("quit", at: "[show] > "),
        ])
        let actions = FakeWizardActions(.failure(Refusal(["The rules are too many."])))
        let (ending, _) = await Conversation(prompter: prompter, actions: actions).run(try Machine.wizard())
        await prompter.finish()
        #expect(ending == .quit)
        #expect(await prompter.transcript.contains("The rules are too many."))
    }
}

/// A guard with scripted states: one status per request.
private actor FakeGuard: GuardConnection {
    private var statuses: [PendingChangeStatus]
    private(set) var requests: [String] = []
    private var replies: [PendingChangeReply]

    init(_ statuses: [PendingChangeStatus], replies: [PendingChangeReply] = []) {
        self.statuses = statuses
        self.replies = replies
    }

    func status() async -> PendingChangeStatus { statuses.count > 1 ? statuses.removeFirst() : statuses[0] }

    private func reply(_ request: String) -> PendingChangeReply {
        requests.append(request)
        return replies.isEmpty ? .refused(["unexpected"]) : replies.removeFirst()
    }

    func confirm(sameConnection: Bool) async -> PendingChangeReply {
        reply(sameConnection ? "confirm same" : "confirm")
    }
    func revert() async -> PendingChangeReply { reply("revert") }
    func extend() async -> PendingChangeReply { reply("extend") }
}

@Suite("The loop of a pending change")
struct PendingChangeLoopTests {
    private let screen = PendingChangeScreen(secondsLeft: 60, loginTest: .login(command: nil))

    private func run(
        _ steps: [ScriptedPrompter.Step], _ connection: FakeGuard
    ) async -> (PendingChangeLoop.Ending, String) {
        let prompter = ScriptedPrompter(steps)
        let ending = await PendingChangeLoop(
            prompter: prompter, connection: connection, interval: .milliseconds(1)
        ).run(screen)
        await prompter.finish()
        return (ending, await prompter.transcript)
    }

    @Test("a new login appears while the person types, and keep is sent to the guard")
    func keep() async throws {
        let login = PendingChangeStatus.FreshLogin(
            peer: try Machine.address("203.0.113.7"), note: "IPv6 was not tested.")
        let kept = PendingChangeScreen.Ending.kept(saved: [], undo: nil)
        let connection = FakeGuard(
            [
                PendingChangeStatus(secondsLeft: 60), PendingChangeStatus(secondsLeft: 50),
                PendingChangeStatus(secondsLeft: 31, freshLogin: login),
            ],
            replies: [.ended(kept)])
        let (ending, text) = await run(
            [.afterTicks(2, type: "keep", at: "  31 s   keep / revert / more > ")], connection)
        #expect(ending == .outcome(kept))
        #expect(await connection.requests == ["confirm same"])
        #expect(text.contains("A new SSH login from 203.0.113.7 succeeded"))
        #expect(text.contains("IPv6 was not tested."))
    }

    @Test("an outcome that comes from elsewhere ends the prompt, and is shown once")
    func overtaken() async {
        let reverted = PendingChangeScreen.Ending.reverted(.deadline, verified: true)
        let connection = FakeGuard([
            PendingChangeStatus(secondsLeft: 2), PendingChangeStatus(secondsLeft: 1),
            PendingChangeStatus(secondsLeft: 0, outcome: reverted),
        ])
        let (ending, text) = await run([.watch], connection)
        #expect(ending == .outcome(reverted))
        #expect(text.components("Not kept within") == 1)
    }

    @Test("a change that ended before the first prompt shows no prompt")
    func endedAlready() async {
        let kept = PendingChangeScreen.Ending.kept(saved: [], undo: nil)
        let (ending, _) = await run([], FakeGuard([PendingChangeStatus(secondsLeft: 0, outcome: kept)]))
        #expect(ending == .outcome(kept))
    }

    @Test("refusals are shown, and the prompt continues")
    func refusals() async {
        let reverted = PendingChangeScreen.Ending.reverted(.request, verified: true)
        let connection = FakeGuard(
            [PendingChangeStatus(secondsLeft: 40)],
            replies: [.refused(["The limit is 1 h."]), .extended(secondsLeft: 100), .ended(reverted)])
        let (ending, text) = await run(
            [.type("more", at: "yet > "), .type("more", at: "yet > "), .type("revert", at: "yet > ")], connection)
        #expect(ending == .outcome(reverted))
        #expect(await connection.requests == ["extend", "extend", "revert"])
        #expect(text.contains("The limit is 1 h.") && text.contains("More time: 100 s left."))
    }

    @Test("after the end of input it waits for the outcome without prompting")
    func endOfInput() async {
        let reverted = PendingChangeScreen.Ending.reverted(.deadline, verified: true)
        let connection = FakeGuard(
            [
                PendingChangeStatus(secondsLeft: 3), PendingChangeStatus(secondsLeft: 2),
                PendingChangeStatus(secondsLeft: 1),
                PendingChangeStatus(secondsLeft: 0, outcome: reverted),
            ])
        let (ending, text) = await run([.endOfInput], connection)
        #expect(ending == .outcome(reverted))
        #expect(await connection.requests.isEmpty)
        #expect(text.contains("No more input"))
    }

    @Test("Ctrl-C twice leaves, and the guard continues alone")
    func leaving() async {
        let connection = FakeGuard([PendingChangeStatus(secondsLeft: 40)])
        let (ending, _) = await run([.interrupt, .interrupt], connection)
        #expect(ending == .left)
        #expect(await connection.requests.isEmpty)
    }

    @Test("one Ctrl-D at a terminal is explained like Ctrl-C, and commands still work")
    func endByKey() async {
        let reverted = PendingChangeScreen.Ending.reverted(.request, verified: true)
        let connection = FakeGuard([PendingChangeStatus(secondsLeft: 40)], replies: [.ended(reverted)])
        let (ending, text) = await run([.endByKey, .type("revert", at: "yet > ")], connection)
        #expect(ending == .outcome(reverted))
        #expect(text.contains("Ctrl-C again leaves"))
    }
}

extension String {
    /// How many times the word occurs in the text.
    fileprivate func components(_ word: String) -> Int {
        indices.count { self[$0...].hasPrefix(word) }
    }
}
