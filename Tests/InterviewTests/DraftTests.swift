import Netfilter
import Policy
import Testing

@testable import Interview

@Suite("An unfinished session")
struct DraftTests {
    private func wizard(_ answered: Set<Question>) throws -> Wizard {
        let draft = Draft(
            answers: Answers(
                admins: [try Machine.network("192.168.1.33")], ping: .limited, ssh: SSHAnswer(from: .admins)),
            answered: answered, moment: "2026-11-22 15:42:10 UTC")
        return Wizard(discovery: try Machine.discovery(), catalog: try .builtIn(), draft: draft)
    }

    @Test("its answers are shown, and Enter resumes at the first unanswered question")
    func resume() throws {
        var wizard = try wizard([.admins, .ssh])
        let text = wizard.begin().lines.text
        #expect(text.contains("Your answers from last time, not in effect (2026-11-22 15:42:10 UTC):"))
        #expect(text.contains("1 admins     192.168.1.33"))
        #expect(wizard.request.prompt == "     resume / start over [resume] > ")
        #expect(wizard.draft == nil)
        wizard.type("")
        #expect(wizard.stage == .asking(.services, fromReview: false))
        #expect(wizard.answers.admins == [try Machine.network("192.168.1.33")])
        wizard.type("back")
        #expect(wizard.request.prompt.hasSuffix("ssh [admins] > "))
    }

    @Test("if everything is answered the review comes next")
    func complete() throws {
        var wizard = try wizard(Set(Question.allCases))
        _ = wizard.begin()
        wizard.type("resume")
        #expect(wizard.stage == .reviewing)
        #expect(wizard.answers.ping == .limited)
    }

    @Test("unanswered questions have this machine's defaults, not those of an empty file")
    func defaults() throws {
        var wizard = try wizard([.admins, .ssh])
        #expect(wizard.begin().lines.text.contains("3 services   web (not asked yet)"))
        wizard.type("")
        #expect(wizard.request.prompt.hasSuffix("services [web] > "))
    }

    @Test("\"start over\" asks everything again", arguments: ["start over", "anew"])
    func startOver(word: String) throws {
        var wizard = try wizard([.admins, .ssh])
        _ = wizard.begin()
        wizard.type(word)
        #expect(wizard.stage == .asking(.admins, fromReview: false))
        #expect(wizard.request.prompt.hasSuffix("admins [203.0.113.7] > "))
        #expect(wizard.answers == Answers())
    }

    @Test("? explains, unknown input is reported, quit leaves")
    func others() throws {
        var wizard = try wizard([.admins])
        _ = wizard.begin()
        #expect(wizard.input("?").lines.text.contains("\"start over\" asks all questions again"))
        #expect(wizard.input("maybe").lines.text.contains("\"maybe\" is not valid. Use resume, start over or quit."))
        #expect(wizard.request.prompt.hasSuffix("[resume] > "))
        #expect(wizard.input("quit").request == .quit)
    }

    @Test("every answer is passed on to be saved, and nothing before the first one")
    func kept() async throws {
        let prompter = ScriptedPrompter([
            .type("?", at: "admins [203.0.113.7] > "), .type("192.168.1.33", at: "admins [203.0.113.7] > "),
            .type("admins", at: "ssh [everyone] > "), .endOfInput,
        ])
        let box = Drafts()
        _ = await Conversation(prompter: prompter, actions: FakeWizardActions()) { await box.add($0) }
            .run(try Machine.wizard())
        await prompter.finish()
        #expect(await box.all.map(\.answered) == [[.admins], [.admins, .ssh]])
        #expect(await box.all.last?.answers.ssh == SSHAnswer(from: .admins))
    }
}

private actor Drafts {
    private(set) var all: [Draft] = []
    func add(_ draft: Draft) { all.append(draft) }
}
