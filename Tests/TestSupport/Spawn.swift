import Foundation
import Glibc
import Synchronization

/// The result of a program that was run to its end.
package struct Finished: Sendable {
    /// The exit code, or 128 plus the number of the signal that ended it, as in a shell.
    package let status: Int32
    package let stdout: [UInt8]
    package let errors: String

    /// A result that was obtained in another way.
    package init(status: Int32, stdout: [UInt8], errors: String) {
        self.status = status
        self.stdout = stdout
        self.errors = errors
    }

    /// Standard output as text.
    package var output: String { String(decoding: stdout, as: UTF8.self) }
}

/// A program that could not be run, or did not end as it should.
package struct SpawnError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// A program that a test has started, and which is only ended by its own ID.
package final class Child: Sendable {
    package let id: pid_t
    /// The writing end of its standard input; when it is closed, the program reads the end.
    private let input: Closing?

    private init(id: pid_t, input: Closing?) {
        self.id = id
        self.input = input
    }

    /// Starts a program with its three streams on the given descriptors; nil for a pipe from here as its input.
    package static func start(
        _ words: [String], input: Int32? = nil, output: Int32, errors: Int32,
        environment: [String: String] = [:], ownGroup: Bool = false
    ) throws -> Child {
        var ends: [Int32] = [-1, -1]
        // A socket pair, because it can be created close-on-exec: no other child may hold the writing end.
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        if input == nil, socketpair(AF_UNIX, kind, 0, &ends) != 0 { throw SpawnError("no pipe: errno \(errno)") }
        defer { if input == nil { close(ends[0]) } }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input ?? ends[0], 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | (ownGroup ? POSIX_SPAWN_SETPGROUP : 0)
        posix_spawnattr_setflags(&attributes, Int16(flags))

        let words = [try Tool.path(words.first ?? "")] + words.dropFirst()
        let environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        var id: pid_t = 0
        let failure = withCStrings(words) { arguments in
            withCStrings(environment.map { "\($0)=\($1)" }) { variables in
                posix_spawn(&id, words[0], &actions, &attributes, arguments, variables)
            }
        }
        guard failure == 0 else {
            if input == nil { close(ends[1]) }
            throw SpawnError("\(words) could not be started: \(String(cString: strerror(failure)))")
        }
        return Child(id: id, input: input == nil ? Closing(ends[1]) : nil)
    }

    /// The status once it has ended, without waiting; nil while it runs.
    package func statusIfEnded() -> Int32? {
        var status: Int32 = 0
        guard waitpid(id, &status, WNOHANG) == id else { return nil }
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }

    package func closeInput() {
        input?.close()
    }
}

/// Runs a program to its end, without blocking a thread of the pool meanwhile.
///
/// Its output goes to files, not pipes: a detached grandchild that holds a stream open does not delay the end.
/// - Throws: `SpawnError` when it cannot be started or has not ended after `timeout`; it and its group are killed.
package func run(
    _ words: [String], input: [UInt8] = [], environment: [String: String] = [:], timeout: Duration = .seconds(30)
) async throws -> Finished {
    let stdin = try Scratch(input)
    let stdout = try Scratch()
    let stderr = try Scratch()
    let child = try Child.start(
        words, input: stdin.descriptor, output: stdout.descriptor, errors: stderr.descriptor,
        environment: environment, ownGroup: true)
    let end = ContinuousClock.now + timeout
    var status = child.statusIfEnded()
    while status == nil {
        if ContinuousClock.now > end || Task.isCancelled {
            kill(-child.id, SIGKILL)
            var ignored: Int32 = 0
            waitpid(child.id, &ignored, 0)
            let said = String(decoding: stdout.bytes() + stderr.bytes(), as: UTF8.self)
            throw SpawnError("\(words) had not ended after \(timeout); it said: \(said)")
        }
        try? await Task.sleep(for: .milliseconds(4))
        status = child.statusIfEnded()
    }
    return Finished(
        status: status ?? -1, stdout: stdout.bytes(), errors: String(decoding: stderr.bytes(), as: UTF8.self))
}

/// Runs a program that must succeed, and returns its output.
/// - Throws: `SpawnError` with its output when it does not exit with 0.
@discardableResult
package func mustRun(
    _ words: [String], input: [UInt8] = [], environment: [String: String] = [:], timeout: Duration = .seconds(30)
) async throws -> String {
    let finished = try await run(words, input: input, environment: environment, timeout: timeout)
    guard finished.status == 0 else {
        throw SpawnError("\(words) ended with \(finished.status): \(finished.errors)\(finished.output)")
    }
    return finished.output
}

/// Where the system's tools are found; PATH is not used.
package enum Tool {
    private static let folders = ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"]

    /// The absolute path of a tool, or the name itself when it is a path already.
    /// - Throws: `SpawnError` when no system folder contains it.
    package static func path(_ name: String) throws -> String {
        if name.contains("/") { return name }
        guard let folder = folders.first(where: { access($0 + name, X_OK) == 0 }) else {
            throw SpawnError("'\(name)' is not installed here")
        }
        return folder + name
    }
}

// MARK: - Descriptors

/// A descriptor that is closed once, explicitly or with its owner.
final class Closing: Sendable {
    private let descriptor: Mutex<Int32>

    init(_ descriptor: Int32) {
        self.descriptor = Mutex(descriptor)
    }

    func close() {
        descriptor.withLock { descriptor in
            if descriptor >= 0 { Glibc.close(descriptor) }
            descriptor = -1
        }
    }

    deinit { close() }
}

/// A file without a name that disappears with its owner.
private final class Scratch: Sendable {
    let descriptor: Int32

    init(_ bytes: [UInt8] = []) throws {
        let path = "/tmp/latchkey-test-\(UUID().uuidString)"
        descriptor = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SpawnError("'\(path)' cannot be made: errno \(errno)") }
        unlink(path)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress, $0.count, off_t(written))
            }
            guard count > 0 else { throw SpawnError("a temporary file cannot be written: errno \(errno)") }
            written += count
        }
    }

    /// Everything in the file, read without moving the position that the program shares.
    func bytes() -> [UInt8] {
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65536)
        while case let count = pread(descriptor, &part, part.count, off_t(all.count)), count > 0 {
            all += part[..<count]
        }
        return all
    }

    deinit { close(descriptor) }
}

private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers = strings.map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    return pointers.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("an array with a nil in it is never empty") }
        return body(base)
    }
}
