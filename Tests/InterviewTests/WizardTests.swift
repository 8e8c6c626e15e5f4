import Netfilter
import Policy
import Testing

@testable import Interview

@Suite("The wizard")
struct WizardTests {
    /// A wizard at the given question, with the defaults accepted for all questions before it.
    private func wizard(at question: Question) throws -> Wizard {
        var wizard = try Machine.wizard(try Machine.crowded())
        _ = wizard.begin()
        while wizard.stage != .asking(question, fromReview: false) {
            guard case .asking = wizard.stage else {
                Issue.record("\(question) is never asked")
                return wizard
            }
            wizard.type("")
        }
        return wizard
    }

    @Test("Enter at every question leads to the review with the machine's defaults")
    func defaults() throws {
        var wizard = try Machine.wizard()
        _ = wizard.begin()
        wizard.type("", "", "", "", "")
        #expect(wizard.stage == .reviewing)
        #expect(
            wizard.answers
                == Answers(
                    admins: [try Machine.network("203.0.113.7")], services: [ServiceChoice("web")],
                    ssh: SSHAnswer(from: .everyone)))
    }

    @Test("? explains and asks again", arguments: Question.allCases)
    func help(question: Question) throws {
        var wizard = try wizard(at: question)
        let request = wizard.request
        let turn = wizard.input("?")
        #expect(turn.lines == question.help(wizard.context, screen: Screen()))
        #expect(turn.request == nil && wizard.request == request)
        #expect(wizard.stage == .asking(question, fromReview: false))
    }

    @Test("quit leaves at once", arguments: Question.allCases)
    func quit(question: Question) throws {
        var wizard = try wizard(at: question)
        #expect(wizard.input(" QUIT ").request == .quit)
        #expect(wizard.stage == .finished(.quit))
        #expect(wizard.input("192.168.1.33") == Wizard.Turn([]))
    }

    @Test("back returns to the previous question and proposes the given answer", arguments: Question.allCases)
    func back(question: Question) throws {
        var wizard = try wizard(at: question)
        let index = try #require(Question.allCases.firstIndex(of: question))
        wizard.type("back")
        let before = Question.allCases[max(0, index - 1)]
        #expect(wizard.stage == .asking(before, fromReview: false))
        #expect(wizard.request.prompt.contains("[\(before.defaultAnswer(wizard.context))]"))
    }

    @Test("show prints the answers so far", arguments: Question.allCases)
    func show(question: Question) throws {
        var wizard = try wizard(at: question)
        let text = wizard.input("show").lines.text
        for other in Question.allCases { #expect(text.contains(other.rawValue)) }
        #expect(text.contains("(not asked yet)"))
        #expect(wizard.stage == .asking(question, fromReview: false))
    }

    @Test("a line with a mistake comes back for editing, without a default", arguments: Question.allCases)
    func mistake(question: Question) throws {
        var wizard = try wizard(at: question)
        let (line, _, message) = try #require(questionCases[question]?.invalid.first)
        let turn = wizard.input(line)
        #expect(turn.lines.contains { $0.tone == .mistake })
        let flat = turn.lines.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(flat.contains(message))
        #expect(wizard.request.prefill == line)
        #expect(wizard.request.prompt.hasSuffix("\(question.rawValue) > "))
    }

    @Test("an empty line after a mistake accepts nothing")
    func emptiedLine() throws {
        var wizard = try wizard(at: .ping)
        wizard.type("some", "")
        #expect(wizard.stage == .asking(.ping, fromReview: false))
        #expect(wizard.request.prompt.hasSuffix("ping [nobody] > "))
        wizard.type("")
        #expect(wizard.stage == .asking(.existing, fromReview: false))
    }

    @Test("a line that comes back for editing contains no terminal control characters")
    func harmlessPrefill() throws {
        var wizard = try wizard(at: .admins)
        wizard.type("10.0.0.1\u{1B}[2J\u{7}x\u{9B}y")
        #expect(wizard.request.prefill == "10.0.0.1[2Jxy")
    }

    @Test("the answers of a file are proposed, and those to questions that are not asked are preserved")
    func proposals() throws {
        let proposals = Answers(
            admins: [], services: [ServiceChoice("mail", from: .networks([try Machine.network("192.168.1.0/24")]))],
            ports: [PortChoice(try PortSpec(parsing: "8080/tcp"))], ping: .everyone,
            ssh: SSHAnswer(ports: [22], from: .admins),
            log: true)
        var wizard = try Machine.wizard(proposals: proposals)
        _ = wizard.begin()
        #expect(wizard.request.prompt.hasSuffix("admins [none] > "))
        wizard.type("", "", "", "", "")
        #expect(wizard.answers == proposals)
    }

    @Test("\"list\" shows every service on one screen, at its question only", arguments: [80, 40])
    func list(columns: Int) throws {
        var wizard = try wizard(at: .services)
        wizard.screen = Screen(columns: columns)
        let lines = wizard.input("list").lines
        if columns == 80 { #expect(lines.count <= 22) }
        let words = Set(lines.text.split(whereSeparator: \.isWhitespace).map(String.init))
        for template in try TemplateCatalog.builtIn().all where template.name != "ssh" {
            #expect(words.contains(template.name + (template.defaultSource == .admins ? "*" : "")), "\(template.name)")
        }
        wizard.type("")
        #expect(wizard.input("list").lines.contains { $0.tone == .mistake })
    }

    @Test(
        "\"list\" with a word describes the matching services",
        arguments: [
            ("mail", "] mail", "] postgres"), ("databases", "] postgres", "] mail"), ("websites", "] web ", "] mail"),
            ("prometheus", "] prometheus-node-exporter  Prometheus", "] mail"),
        ])
    func list(word: String, found: String, other: String) throws {
        var wizard = try wizard(at: .services)
        let text = wizard.input("list \(word)").lines.text
        #expect(text.contains(found))
        #expect(!text.contains(other))
    }

    @Test("a program name or a word of a title finds its service", arguments: ["nginx", "websites"])
    func programName(word: String) throws {
        var wizard = try wizard(at: .services)
        let text = wizard.input(word).lines.text
        #expect(text.contains("\"\(word)\" is not a known service. Did you mean \"web\"?"))
    }

    @Test(
        "a command typed after a line to be edited is executed", arguments: ["?", " ?", "back", " show", " quit"])
    func commandBehindLine(typed: String) throws {
        var wizard = try wizard(at: .ssh)
        wizard.type("192.168.1.300")
        let turn = wizard.input(wizard.request.prefill + typed)
        #expect(!turn.lines.contains { $0.tone == .mistake })
        switch typed.trimmed {
        case "back": #expect(wizard.stage == .asking(.admins, fromReview: false))
        case "quit": #expect(turn.request == .quit)
        default: #expect(wizard.request.prefill == "192.168.1.300")
        }
    }

    @Test("the second mistake in a row explains how to clear the line")
    func emptyingKey() throws {
        var wizard = try wizard(at: .ping)
        #expect(!wizard.input("some").lines.text.contains("Ctrl-U"))
        #expect(wizard.input("some").lines.text.contains("Ctrl-U clears the line."))
    }

    @Test("another answer with the same danger is warned about again, the same answer is not")
    func repeatedDanger() throws {
        let warning = "Your SSH connection uses port 22"
        var wizard = try wizard(at: .ssh)
        #expect(wizard.input("everyone port 2222").lines.text.contains(warning))
        wizard.type("back")
        #expect(!wizard.input("everyone port 2222").lines.text.contains(warning))
        wizard.type("back")
        #expect(wizard.input("everyone port 2200").lines.text.contains(warning))
    }

    @Test("the question about rules is not asked if all of them are latchkey's own")
    func ownRulesOnly() throws {
        var discovery = try Machine.discovery()
        discovery.rulesNow = 31
        discovery.ruleOwners = [.init("latchkey", count: 31)]
        #expect(!Question.asked(discovery).contains(.existing))
        discovery.ruleOwners.append(.init("unknown", count: 1))
        #expect(Question.asked(discovery).contains(.existing))
    }

    @Test("a long default is shortened in the prompt only")
    func longDefault() throws {
        let admins = try (1...20).map { try Machine.network("192.0.2.\($0)") }
        var wizard = try Machine.wizard(proposals: Answers(admins: AddressList(admins)))
        _ = wizard.begin()
        #expect(wizard.request.prompt.count <= 60)
        #expect(wizard.request.prompt.hasSuffix("...] > "))
        wizard.type("")
        #expect(wizard.answers.admins == AddressList(admins))
    }

    @Test("lists in files stay when a default is accepted, and a word refers to them")
    func addressFiles() throws {
        let file = AddressFile(path: "/etc/latchkey/office list.txt", networks: [try Machine.network("192.0.2.0/24")])
        let network = try Machine.network("198.51.100.7")
        let list = AddressList([network], files: [file])
        let services = [ServiceChoice("git", from: .networks(AddressList(files: [file])))]
        let proposals = Answers(admins: list, services: services, ssh: SSHAnswer(from: .networks(list)))
        var wizard = try Machine.wizard(proposals: proposals)
        _ = wizard.begin()
        #expect(wizard.request.prompt.contains("198.51.100.7 file:office_list.txt"))
        wizard.type("", "", "")
        #expect(wizard.answers.admins == list)
        #expect(wizard.answers.ssh?.from == .networks(list))
        #expect(wizard.answers.services == services)
        wizard = try Machine.wizard(proposals: proposals)
        _ = wizard.begin()
        wizard.type("file:other.txt")
        #expect(wizard.request.prompt.contains("admins"))
        wizard.type("file:office_list.txt")
        #expect(wizard.answers.admins == AddressList(files: [file]))
    }

    // MARK: - Review

    @Test(
        "edit asks one question again and returns to the review",
        arguments: ["edit 3", "3", "edit services", "services"])
    func edit(command: String) throws {
        var wizard = try Machine.wizard()
        _ = wizard.begin()
        wizard.type("", "", "", "", "")
        wizard.type(command)
        #expect(wizard.stage == .asking(.services, fromReview: true))
        #expect(wizard.input("dns").request == .compose)
        #expect(wizard.answers.services == [ServiceChoice("dns")])
    }

    @Test("back from an edit leaves the review unchanged")
    func backFromEdit() throws {
        var wizard = try Machine.wizard()
        _ = wizard.begin()
        wizard.type("", "", "", "", "", "edit 1", "back")
        #expect(wizard.stage == .reviewing && wizard.offersApply)
    }

    @Test(
        "the review's commands request what they need from the program",
        arguments: [
            ("rules", Wizard.Request.rules), ("diff", .diff), ("save", .save(nil)),
            ("deadline 5m", .deadline("5m")), ("deadline", nil),
            ("save /root/My Answers.yaml", .save("/root/My Answers.yaml")), ("apply", .apply), ("", .apply),
            ("quit", .quit),
        ])
    func commands(line: String, request: Wizard.Request?) throws {
        var wizard = try Machine.wizard()
        _ = wizard.begin()
        wizard.type("", "", "", "", "")
        #expect(wizard.input(line).request == request)
    }

    @Test("the deadline can be changed before the rules are active, and the review shows it")
    func deadline() throws {
        var wizard = try Machine.wizard()
        _ = wizard.begin()
        let text = wizard.type("", "", "", "", "").lines.text
        #expect(
            text.contains("  New rules roll back after 60 s unless you keep them (to change: deadline 5m)."))
        let flat = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(
            flat.contains(
                "They also roll back if your connection drops. To keep them, log in again and run \"sudo latchkey\"."))
        #expect(
            wizard.setDeadline(300).lines.text
                == "  The new rules will roll back after 300 s unless you keep them.")
        #expect(wizard.deadline == 300)
        #expect(wizard.input("deadline").lines.text.contains("after 300 s"))
        #expect(wizard.stage == .reviewing)
    }

    @Test("an unknown word at the review does nothing", arguments: ["aply", "edit 9", "edit", "apply now", "edit 0"])
    func unknownCommand(line: String) throws {
        var wizard = try Machine.wizard()
        _ = wizard.begin()
        wizard.type("", "", "", "", "")
        let turn = wizard.input(line)
        #expect(turn.request == nil && turn.lines.contains { $0.tone == .mistake })
        #expect(wizard.stage == .reviewing)
    }

    @Test(
        "a plan that failed its rehearsal is not offered; Enter edits the relevant answer",
        arguments: [
            RehearsalReport.lockout(peer: "203.0.113.7", port: 22),
            .failed(
                probes: 64,
                differences: [
                    .init(from: "203.0.113.7", packet: "22/tcp", expectedOpen: true, rule: nil, question: .ssh)
                ]),
        ])
    func failedRehearsal(report: RehearsalReport) throws {
        var wizard = try Machine.wizard()
        _ = wizard.begin()
        wizard.type("", "", "", "", "", report: report)
        #expect(wizard.request.prompt == "edit 1-5 / rules / diff / save / quit [edit 2] > ")
        #expect(wizard.input("apply").request == nil)
        #expect(wizard.stage == .reviewing)
        wizard.type("")
        #expect(wizard.stage == .asking(.ssh, fromReview: true))
    }

    @Test("a plan that cannot be applied here can still be shown and saved")
    func obstacle() throws {
        var wizard = try Machine.wizard()
        _ = wizard.begin()
        for _ in 1...5 { _ = wizard.input("") }
        let turn = wizard.composed(
            ChangeSummary(rulesRemoved: 0, rulesAdded: 13, obstacle: "Applying needs root: sudo latchkey"))
        #expect(turn.lines.text.contains("Applying needs root"))
        _ = wizard.rehearsed(.skipped("asked not to"))
        #expect(!wizard.offersApply)
        #expect(wizard.input("save").request == .save(nil))
    }
}
