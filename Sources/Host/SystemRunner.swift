import CLinux
import Glibc
import Subprocess
import SystemPackage

/// Runs real programs, with a clean environment and a time limit.
package struct SystemRunner: CommandRunner {
    /// The environment of every program: nothing is passed on from the caller, because sudo may have passed on
    /// anything.
    private let environment: [String: String]

    /// Output beyond this many bytes is an error; the largest known rule sets have a few megabytes.
    private static let outputLimit = 64 << 20

    /// A runner; `environment` is added to every command's environment.
    package init(environment: [String: String] = [:]) {
        self.environment = environment
    }

    package func run(_ command: Command) async throws(HostError) -> CommandResult {
        do {
            return try await withThrowingTaskGroup(of: CommandResult?.self) { group in
                group.addTask { try await execute(command) }
                group.addTask {
                    try await Task.sleep(for: command.timeout)
                    return nil
                }
                defer { group.cancelAll() }
                guard let first = try await group.next(), let result = first else {
                    throw HostError.toolTimedOut(
                        command: command.words, seconds: Int(command.timeout.components.seconds))
                }
                return result
            }
        } catch let error as HostError {
            throw error
        } catch {
            throw .toolUnusable(command: command.words, reason: "\(error)")
        }
    }

    private func execute(_ command: Command) async throws -> CommandResult {
        var variables = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"]
        variables.merge(environment) { $1 }
        variables.merge(command.environment) { $1 }
        let custom = Dictionary(
            uniqueKeysWithValues: variables.map { (Subprocess.Environment.Key(stringLiteral: $0), $1) })

        // Input comes from a file in memory, not a pipe: if a program ends before it has read everything, its own
        // message is reported, not a broken pipe.
        let input = try memoryFile(command.input)
        // A tool may start others; a tool that is stopped is stopped together with them.
        var options = PlatformOptions()
        options.processGroupID = 0
        options.teardownSequence = [
            .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .milliseconds(100))
        ]
        let result = try await Subprocess.run(
            .path(FilePath(command.program)), arguments: Arguments(command.arguments), environment: .custom(custom),
            platformOptions: options, input: .fileDescriptor(input, closeAfterSpawningProcess: true),
            output: .bytes(limit: Self.outputLimit),
            error: .string(limit: 1 << 20))
        let status: Int32 =
            switch result.terminationStatus {
            case .exited(let code): code
            case .signaled(let signal): 128 + signal
            }
        return CommandResult(status: status, output: result.standardOutput, message: trimmed(result.standardError))
    }

    private func memoryFile(_ bytes: [UInt8]) throws -> FileDescriptor {
        let number = latchkey_memory_file("latchkey-input")
        guard number >= 0 else {
            throw HostError.file(path: "(memory)", operation: "make a file in memory", errno: errno)
        }
        let file = FileDescriptor(rawValue: number)
        do {
            try file.writeAll(bytes)
            try file.seek(offset: 0, from: .start)
            return file
        } catch {
            try? file.close()
            throw error
        }
    }

    private func trimmed(_ text: String?) -> String {
        var rest = (text ?? "")[...]
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        return String(rest)
    }
}
