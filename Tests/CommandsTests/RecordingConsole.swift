import Commands
import Host
import Synchronization

/// A console that remembers what was written, results and talk apart.
final class RecordingConsole: Console {
    private let written = Mutex<(results: String, talk: String)>(("", ""))

    var results: String { written.withLock { $0.results } }
    var talk: String { written.withLock { $0.talk } }

    func result(_ text: String) { written.withLock { $0.results += text } }
    func say(_ text: String) { written.withLock { $0.talk += text } }
}

extension CommandContext {
    /// A context under a folder of its own, of an ordinary user unless told otherwise.
    static func test(root: String = "/nonexistent", userID: UInt32 = 1_000, console: RecordingConsole) -> Self {
        CommandContext(layout: Layout(root: root), userID: userID, console: console)
    }
}

/// What one run of the program came to.
struct ProgramRun: Equatable {
    var status: Int32
    var results: String
    var talk: String

    /// Runs the program in this process against a context of a test.
    static func of(_ arguments: [String], root: String = "/nonexistent", userID: UInt32 = 1_000) async -> Self {
        let console = RecordingConsole()
        let status = await Program.run(arguments, in: .test(root: root, userID: userID, console: console))
        return Self(status: status, results: console.results, talk: console.talk)
    }
}
