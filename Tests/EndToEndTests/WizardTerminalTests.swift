import Foundation
import TestSupport
import Testing

@Suite("The wizard on all kinds of terminals", .kernel, .inTurn)
struct WizardTerminalTests {
    private static let escape = UInt8(0x1B)

    /// A session from the first question to its end, with all output.
    private func bytes(
        _ arguments: [String] = [], environment: [String: String], columns: UInt16 = 80
    ) async throws -> [UInt8] {
        let session = try await WizardSession(arguments, environment: environment, columns: columns)
        try await session.reach(.ping)
        try await session.pty.line("nonsense")
        try await session.pty.expect("\"nonsense\" is not valid.")
        try await session.pty.send("\u{3}")
        #expect(try await session.pty.exit() == 130)
        return await session.pty.bytes
    }

    @Test(
        "a dumb terminal and plain mode get no escape sequences",
        arguments: [
            ([], ["TERM": "dumb"]), (["--plain"], [:]), ([], ["LATCHKEY_PLAIN": "1"]),
        ] as [([String], [String: String])])
    func plain(arguments: [String], environment: [String: String]) async throws {
        let bytes = try await bytes(arguments, environment: environment)
        #expect(!bytes.contains(Self.escape))
    }

    @Test("NO_COLOR leaves line editing but no colour", arguments: [true, false])
    func colour(isRefused: Bool) async throws {
        let bytes = try await bytes(environment: isRefused ? ["NO_COLOR": "1"] : [:])
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.contains("\u{1B}[31m") == !isRefused)
        #expect(text.contains("\u{1B}[1m") == !isRefused)
    }

    @Test("every locale gets plain ASCII", arguments: ["C", "C.UTF-8", "POSIX"])
    func locale(name: String) async throws {
        let bytes = try await bytes(environment: ["LANG": name, "LC_ALL": name, "NO_COLOR": "1"])
        #expect(bytes.allSatisfy { $0 < 0x80 })
    }

    @Test("40 columns are never overrun")
    func narrow() async throws {
        let text = PtyScreen.plain(try await bytes(environment: ["TERM": "dumb"], columns: 40))
        for line in text.split(separator: "\n") where !line.contains(" > ") { #expect(line.count <= 40, "\(line)") }
    }

    @Test("the output of other commands fits the screen too")
    func narrowReport() async throws {
        let root = try TemporaryFolder()
        let pty = try Pty(
            Latchkey.path, ["services", "show", "mail"], environment: Latchkey.environment(root: root), columns: 40)
        #expect(try await pty.exit() == 0)
        let lines = await pty.screen.split(separator: "\n")
        #expect(lines.count > 6)
        for line in lines { #expect(line.count <= 40, "\(line)") }
    }

    @Test("through a pipe the same questions are asked in the same order, and its end means quit")
    func pipe() async throws {
        let machine = try await WizardSession.machine()
        let root = try TemporaryFolder()
        let done = try await Latchkey.run(
            ["setup"], root: root, in: machine, input: Array("192.168.1.33\n\nweb\n8080/tcp\n".utf8))
        #expect(done.status == 130)
        #expect(done.output.isEmpty)
        let talk = done.errors
        var rest = talk[...]
        for question in WizardQuestion.allCases.prefix(5) {
            let range = try #require(rest.firstRange(of: "\(question.number)/6  "), "\(question): \(talk)")
            rest = rest[range.upperBound...]
        }
        #expect(talk.hasSuffix("Nothing was changed.\n"))
        // Answers from a pipe are not saved: the next run asks the same questions.
        #expect(!FileManager.default.fileExists(atPath: root.path + "/var/lib/latchkey/draft.yaml"))
    }

    @Test("without a terminal or a pipe it exits with 64 and says which option to use")
    func nobody() async throws {
        let machine = try await WizardSession.machine()
        let root = try TemporaryFolder()
        let done = try await machine.run(
            ["sh", "-c", "exec \"$0\" setup </dev/null", Latchkey.path],
            environment: Latchkey.environment(root: root))
        #expect(done.status == 64)
        #expect(done.errors.contains("apply --answers FILE"))
    }
}
