/// A program to run: never a shell, always an absolute path.
package struct Command: Sendable, Equatable {
    /// Absolute path of the program.
    package var program: String
    /// Its arguments, without the program's own name.
    package var arguments: [String]
    /// Its standard input; empty for none.
    package var input: [UInt8]
    /// How long it may take before it is killed.
    package var timeout: Duration
    /// The environment variables besides a fixed PATH and locale.
    package var environment: [String: String]

    /// A command with the limits that suit a short-lived tool.
    package init(
        _ program: String, _ arguments: [String] = [], input: [UInt8] = [], timeout: Duration = .seconds(20),
        environment: [String: String] = [:]
    ) {
        self.program = program
        self.arguments = arguments
        self.input = input
        self.timeout = timeout
        self.environment = environment
    }

    /// The program and its arguments, as messages show them.
    package var words: [String] { [program] + arguments }
}

/// The result of a program.
package struct CommandResult: Sendable, Equatable {
    /// Exit status, or 128 plus the signal's number when a signal ended it.
    package var status: Int32
    /// Standard output.
    package var output: [UInt8]
    /// Standard error as text, with the white space around it removed.
    package var message: String

    /// A result, for runners and for tests.
    package init(status: Int32, output: [UInt8] = [], message: String = "") {
        self.status = status
        self.output = output
        self.message = message
    }

    /// Standard output as UTF-8 text.
    package var text: String { String(decoding: output, as: UTF8.self) }
}

/// Runs other programs; latchkey does not start them in any other way.
package protocol CommandRunner: Sendable {
    /// Runs a command to its end.
    ///
    /// - Throws: `toolUnusable` when it cannot be started, `toolTimedOut` when it does not end in time; a status
    ///   other than 0 is no error here.
    func run(_ command: Command) async throws(HostError) -> CommandResult
}

extension CommandRunner {
    /// Runs a command and requires status 0.
    ///
    /// - Throws: what `run` throws, and `toolFailed` for any other status.
    package func check(_ command: Command) async throws(HostError) -> CommandResult {
        let result = try await run(command)
        guard result.status == 0 else {
            throw .toolFailed(command: command.words, status: result.status, message: result.message)
        }
        return result
    }
}
