import TestSupport
import Testing

@Suite("The wizard's questions on a terminal", .kernel, .inTurn)
struct WizardQuestionTests {
    @Test(
        "? explains, a wrong answer comes back, Tab completes, back returns", arguments: WizardQuestion.allCases)
    func conversation(question: WizardQuestion) async throws {
        let session = try await WizardSession()
        try await session.reach(question)
        let pty = session.pty
        try await pty.line("?")
        try await pty.expect(question.explained)
        try await pty.expect("\(question.rawValue) [")

        try await pty.line(question.wrong.typed)
        try await pty.expect(question.wrong.said)
        // The line comes back for editing; Ctrl-U clears it.
        try await session.see("\(question.rawValue) > \(question.wrong.typed)")
        try await pty.send("\u{15}")
        try await pty.line("")
        try await pty.expect("\(question.rawValue) [")

        try await pty.send(question.right.typed + "\t")
        try await pty.expect(question.right.completed)
        try await pty.line("")
        guard question != .existing else {
            try await pty.expect("Review", within: .seconds(20))
            return
        }
        let next = WizardQuestion.allCases[question.number]
        try await pty.expect("\(next.number)/6  ")
        try await pty.expect("] > ")
        try await pty.line("back")
        try await pty.expect("\(question.number)/6  ")
        try await pty.expect("\(question.rawValue) [\(question.right.completed)] > ")
        try await pty.line("show")
        try await pty.expect("(not asked yet)")
        try await pty.line("quit")
        try await pty.expect("Nothing was changed.")
        #expect(try await pty.exit() == 130)
    }

    @Test(
        "quit, Ctrl-C and Ctrl-D leave with nothing changed", arguments: WizardQuestion.allCases,
        ["quit\r", "\u{3}", "\u{4}"])
    func leaving(question: WizardQuestion, key: String) async throws {
        let session = try await WizardSession()
        let before = try await session.server.dump(.ipv4, .nft)
        try await session.reach(question)
        try await session.pty.send(key)
        try await session.pty.expect("Nothing was changed.")
        #expect(try await session.pty.exit() == 130)
        #expect(try await session.server.dump(.ipv4, .nft) == before)
    }

    @Test("in a line with several addresses only the wrong one is reported")
    func severalAnswers() async throws {
        let session = try await WizardSession()
        try await session.reach(.admins)
        try await session.pty.line("192.168.1.33 10.0.0.1/8 2001:db8:5::/64")
        try await session.pty.expect("\"10.0.0.1/8\" has host bits set: write 10.0.0.1 or 10.0.0.0/8.")
        #expect(await !session.pty.screen.contains("\"192.168.1.33\""))
        // Up brings back earlier input to this question.
        try await session.pty.send("\u{15}192.168.1.33\r")
        try await session.pty.expect("2/6")
        try await session.pty.line("back")
        try await session.pty.expect("admins [192.168.1.33] > ")
        try await session.pty.send("\u{1B}[A")
        try await session.pty.expect("192.168.1.33")
    }

    @Test("answers are saved only over other answers; any other file is left alone")
    func saving() async throws {
        let root = try TemporaryFolder()
        try root.write("mine\n", to: "notes.txt")
        let session = try await WizardSession(root: root)
        try await session.reachReview()
        try await session.pty.line("save \(root.path)/notes.txt")
        try await session.pty.expect("Choose another")
        try await session.pty.expect("] > ")
        try await session.pty.line("save ~/notes.txt")
        try await session.pty.expect("Enter the full path")
        #expect(try root.read("notes.txt") == "mine\n")
        for _ in 0..<2 {
            try await session.pty.line("save \(root.path)/my answers.yaml")
            try await session.pty.expect("sudo latchkey --answers")
            try await session.pty.expect("] > ")
        }
        #expect(try root.read("my answers.yaml").contains("version: 1"))
        try await session.pty.line("quit")
        #expect(try await session.pty.exit() == 130)
    }

    @Test("Enter typed before the review appears applies nothing")
    func typedAhead() async throws {
        let session = try await WizardSession()
        let before = try await session.server.dump(.ipv4, .nft)
        try await session.reach(.existing)
        try await session.pty.send("\r\r\r")
        try await session.pty.expect("quit [apply] > ", within: .seconds(30))
        try await session.pty.line("show")
        try await session.pty.expect("quit [apply] > ")
        #expect(try await session.server.dump(.ipv4, .nft) == before)
        try await session.pty.line("quit")
        #expect(try await session.pty.exit() == 130)
    }

    @Test("a narrower window is not overrun")
    func resize() async throws {
        let session = try await WizardSession()
        try await session.reach(.ssh)
        await session.pty.resize(columns: 40, rows: 20)
        try await session.pty.line("")
        try await session.pty.expect("services [")
        let screen = await session.pty.screen
        let narrow = try #require(screen.components(separatedBy: "3/6").last)
        for line in narrow.split(separator: "\n") where !line.contains(" > ") { #expect(line.count <= 40, "\(line)") }
    }
}

extension String {
    fileprivate func components(separatedBy text: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: text) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}
