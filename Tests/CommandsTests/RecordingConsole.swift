import Commands
import Host
import Synchronization

/// A console that records what is written, results and messages separately.
final class RecordingConsole: Console {
    private let written = Mutex<(results: String, talk: String)>(("", ""))

    var results: String { written.withLock { $0.results } }
    var talk: String { written.withLock { $0.talk } }

    func result(_ text: String) { written.withLock { $0.results += text } }
    func say(_ text: String) { written.withLock { $0.talk += text } }
}

extension CommandContext {
    /// A context under a separate folder, for an ordinary user unless specified otherwise.
    static func test(root: String = "/nonexistent", userID: UInt32 = 1_000, console: RecordingConsole) -> Self {
        CommandContext(layout: Layout(root: root), userID: userID, console: console)
    }
}

/// The outcome of one run of the program.
struct ProgramRun: Equatable {
    var status: Int32
    var results: String
    var talk: String

    /// Runs the program in this process with a test's context.
    static func of(_ arguments: [String], root: String = "/nonexistent", userID: UInt32 = 1_000) async -> Self {
        let console = RecordingConsole()
        let status = await Program.run(arguments, in: .test(root: root, userID: userID, console: console))
        return Self(status: status, results: console.results, talk: console.talk)
    }
}
