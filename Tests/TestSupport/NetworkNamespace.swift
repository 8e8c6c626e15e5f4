import Glibc

/// A network namespace that lives exactly as long as a process of ours.
///
/// It comes with a mount namespace that has its own /run: iptables' lock is then writable without root and shared
/// with no other test. Without root both are inside a user namespace, where the test is root.
/// The holder is `cat` on a pipe from here: if the test is killed, the pipe closes and everything ends.
package final class NetworkNamespace: Sendable {
    package let name: String
    private let holder: Child

    /// The command line that enters a new namespace; a command follows it.
    ///
    /// The user namespace is created first, separately: /proc/net/ip_tables_names belongs to the new namespace's
    /// root only if that user is already mapped, and iptables-legacy-save has to read it.
    static let unshare: [String] =
        (geteuid() == 0 ? [] : ["unshare", "--user", "--map-root-user", "--"]) + ["unshare", "--net", "--mount", "--"]

    /// Creates a namespace with its loopback up, under the same root as `neighbour` so that a veth can join them.
    package init(_ name: String = "server", beside neighbour: NetworkNamespace? = nil) async throws {
        self.name = name
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { Glibc.close(null) }
        holder = try Child.start(try Self.makeCommand(beside: neighbour), output: null, errors: 2)
        let own = Self.identity(of: getpid())
        let end = ContinuousClock.now + .seconds(10)
        // With a neighbour, too: nsenter without --net stays in our network until unshare creates a new one.
        while Self.identity(of: holder.id) == own || Self.program(of: holder.id) != "cat" {
            guard ContinuousClock.now < end, holder.statusIfEnded() == nil else {
                throw SpawnError("no namespace could be made; see standard error")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
        try await mustRun(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"])
        try await mustRun(["ip", "link", "set", "lo", "up"])
    }

    /// The process that keeps the namespace; `/proc/ID/ns/net` is the namespace itself.
    package var holderID: pid_t { holder.id }

    /// The command line that runs a command inside, for callers that start programs themselves, such as a pty.
    package func enterCommand(_ words: [String]) throws -> [String] {
        let user = geteuid() == 0 ? [] : ["--user", "--preserve-credentials"]
        return [try Tool.path("nsenter"), "--target", "\(holder.id)"] + user
            + ["--net", "--mount", "--", try Tool.path(words.first ?? "")] + words.dropFirst()
    }

    /// Runs a program inside, to its end.
    package func run(
        _ words: [String], input: [UInt8] = [], environment: [String: String] = [:],
        timeout: Duration = .seconds(30)
    ) async throws -> Finished {
        try await TestSupport.run(
            try enterCommand(words), input: input, environment: environment, timeout: timeout)
    }

    /// Runs a program inside that must succeed, and returns its output.
    /// - Throws: `SpawnError` with its output when it does not exit with 0.
    @discardableResult
    package func mustRun(
        _ words: [String], input: [UInt8] = [], environment: [String: String] = [:],
        timeout: Duration = .seconds(30)
    ) async throws -> String {
        try await TestSupport.mustRun(
            try enterCommand(words), input: input, environment: environment, timeout: timeout)
    }

    /// Starts a program inside that runs until the returned child is killed by its ID; its output is discarded.
    package func start(_ words: [String], environment: [String: String] = [:]) throws -> Child {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { Glibc.close(null) }
        return try Child.start(
            try enterCommand(words), input: null, output: null, errors: null, environment: environment)
    }

    // MARK: Rules

    /// Loads rules in iptables-save's format, as one transaction a table.
    package func restore(_ text: String, _ family: IPFamily, _ backend: TestBackend) async throws {
        try await mustRun([backend.tool(family, "restore"), "-w", "5"], input: Array(text.utf8))
    }

    /// Everything that iptables-save prints, by default without counters.
    package func dump(_ family: IPFamily, _ backend: TestBackend, counters: Bool = false) async throws -> String {
        let text = try await mustRun([backend.tool(family, "save")] + (counters ? ["-c"] : []))
        return counters ? text : Dump.withoutCounters(text)
    }

    private static func makeCommand(beside neighbour: NetworkNamespace?) throws -> [String] {
        guard let neighbour, geteuid() != 0 else { return unshare + ["cat"] }
        return ["nsenter", "--target", "\(neighbour.holder.id)", "--user", "--preserve-credentials", "--"]
            + [try Tool.path("unshare"), "--net", "--mount", "--", "cat"]
    }

    // MARK: The end

    /// Ends the holder, and with it the namespace once nothing else runs inside.
    package func close() {
        holder.closeInput()
        guard holder.statusIfEnded() == nil else { return }
        kill(holder.id, SIGKILL)
        var status: Int32 = 0
        waitpid(holder.id, &status, 0)
    }

    deinit { close() }

    private static func identity(of id: pid_t) -> String? {
        readLink("/proc/\(id)/ns/net")
    }

    private static func program(of id: pid_t) -> String? {
        readLink("/proc/\(id)/exe")?.split(separator: "/").last.map(String.init)
    }
}

/// iptables-save's text, prepared for comparison.
package enum Dump {
    /// The text without '#' lines, and with every chain's counters at zero.
    package static func withoutCounters(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("#") }
            .map { line in
                guard line.hasPrefix(":"), let bracket = line.lastIndex(of: "[") else { return String(line) }
                return line[..<bracket] + "[0:0]"
            }
            .joined(separator: "\n")
    }
}

func readLink(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink(path, &buffer, buffer.count)
    guard count >= 0 else { return nil }
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
