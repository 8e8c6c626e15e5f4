import TestSupport
import Testing

@Suite("The built binary on a terminal")
struct CommandLineTests {
    @Test("help fits the terminal and ends with 0")
    func help() async throws {
        let pty = try Pty(Latchkey.path, ["--help"])
        #expect(try await pty.exit() == 0)
        let screen = await pty.screen
        #expect(screen.contains("latchkey"))
        #expect(screen.split(separator: "\n").allSatisfy { $0.count <= 80 })
    }

    @Test("a bad command line ends with 64")
    func usage() async throws {
        let pty = try Pty(Latchkey.path, ["--bogus"])
        try await pty.expect("bogus")
        #expect(try await pty.exit() == 64)
    }
}

@Suite("The tests' pty")
struct PtyTests {
    @Test("typed text reaches the program, and its reply reaches the screen")
    func conversation() async throws {
        let pty = try Pty("/bin/cat")
        try await pty.line("hello")
        try await pty.expect("hello\nhello\n")
        try await pty.send("\u{4}")
        #expect(try await pty.exit() == 0)
    }

    @Test("it is a controlling terminal: Ctrl-C sends a signal, and so does a hang-up")
    func control() async throws {
        let pty = try Pty("/bin/cat")
        try await pty.line("x")
        try await pty.expect("x\nx")
        try await pty.send("\u{3}")
        #expect(try await pty.exit() == 130)
        let second = try Pty("/bin/cat")
        try await second.line("x")
        try await second.expect("x\nx")
        await second.hangUp()
        #expect(try await second.exit() == 129)
    }

    @Test("a text that does not appear is an error that contains the screen")
    func notSeen() async throws {
        let pty = try Pty("/bin/cat")
        try await pty.line("x")
        await #expect(throws: PtyError.self) { try await pty.expect("y", within: .milliseconds(200)) }
    }

    @Test("colours, titles and cursor movements are not text")
    func plain() {
        let sent = "\u{1B}[1;32mgreen\u{1B}[0m\r\n\u{1B}]0;title\u{7}a\u{1B}[?2004hb\u{8}c\u{1B}(B"
        #expect(PtyScreen.plain(Array(sent.utf8)) == "green\nac")
    }
}
