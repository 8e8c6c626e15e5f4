import Netfilter
import Policy
import Testing

@testable import Interview

@Suite("Another firewall manager")
struct TakeOverOfferTests {
    private func wizard(
        draft: Draft? = nil, canImport: Bool = true, takesOver: Bool = false
    ) throws -> Wizard {
        var discovery = try Machine.discovery()
        discovery.otherFirewalls = ["ufw"]
        discovery.managers = [FoundManager("ufw", sentences: "ufw is enabled. It does things.", canImport: canImport)]
        return Wizard(discovery: discovery, catalog: try .builtIn(), draft: draft, takesOver: takesOver)
    }

    @Test("is named first, and Enter leaves the firewall to it")
    func leave() throws {
        var wizard = try wizard()
        let text = wizard.begin().lines.text
        #expect(text.contains("ufw is enabled. It does things. Only one program can manage this firewall."))
        #expect(wizard.request.prompt == "     take over / import / leave [leave] > ")
        #expect(wizard.draft == nil)
        #expect(wizard.input("").request == .quit)
        #expect(wizard.stage == .finished(.quit))
        #expect(!wizard.takesOver)
    }

    @Test("\"take over\" goes on with the questions, and the review does not say that it stays")
    func takeOver() throws {
        var wizard = try wizard()
        _ = wizard.begin()
        wizard.type("take over")
        #expect(wizard.takesOver)
        #expect(wizard.stage == .asking(.admins, fromReview: false))
        for _ in wizard.questions { wizard.type("") }
        #expect(!wizard.composed(ChangeSummary(rulesRemoved: 0, rulesAdded: 1)).lines.text.contains("also active"))
    }

    @Test("the question about existing rules leaves out what goes with the manager", arguments: [true, false])
    func existing(isAsked: Bool) throws {
        var discovery = try Machine.discovery()
        discovery.managers = [FoundManager("ferm", sentences: "ferm is enabled.")]
        discovery.otherChains = ["DOCKER", "mine"]
        discovery.unownedInputRules = ["-A INPUT -i lo -j ACCEPT", "-A INPUT -p tcp --dport 9 -j ACCEPT"]
        discovery.managerRules = ManagerRules(chains: ["mine"], inputRules: ["-A INPUT -i lo -j ACCEPT"])
        var wizard = Wizard(discovery: discovery, catalog: try .builtIn(), takesOver: !isAsked)
        _ = wizard.begin()
        if isAsked { wizard.type("take over") }
        let text = ExistingQuestion().introduction(wizard.context, Screen()).text
        #expect(text.contains("leaves the chain DOCKER unchanged; removes 1 INPUT rule"))
        #expect(!text.contains("mine"))
    }

    @Test("\"import\" asks for answers, which become the defaults")
    func importing() throws {
        var wizard = try wizard()
        _ = wizard.begin()
        #expect(wizard.input("import").request == .importAnswers)
        let answers = Answers(admins: [try Machine.network("192.168.1.33")], ping: .everyone)
        let turn = wizard.imported(answers, notes: ["One rule can't be said."])
        #expect(turn.lines.text.contains("One rule can't be said."))
        #expect(wizard.takesOver)
        #expect(wizard.request.prompt.hasSuffix("admins [192.168.1.33] > "))
        var other = try self.wizard(canImport: false)
        _ = other.begin()
        #expect(other.input("import").lines.text.contains("Use take over or leave."))
    }

    @Test("? explains, unknown input is reported, and nothing is decided by either")
    func others() throws {
        var wizard = try wizard()
        _ = wizard.begin()
        #expect(wizard.input("?").lines.text.contains("everything is as it was"))
        #expect(wizard.input("yes").lines.text.contains("\"yes\" is not valid. Use take over, import or leave."))
        #expect(wizard.stage == .offeringTakeOver)
    }

    @Test("a draft is offered afterwards; with --take-over nothing is asked")
    func draft() throws {
        let draft = Draft(answers: Answers(ping: .limited), answered: [.admins])
        var wizard = try wizard(draft: draft)
        _ = wizard.begin()
        wizard.type("take over")
        #expect(wizard.stage == .offeringDraft(draft))
        let decided = try self.wizard(draft: draft, takesOver: true)
        #expect(decided.stage == .offeringDraft(draft))
        #expect(decided.takesOver)
    }
}
