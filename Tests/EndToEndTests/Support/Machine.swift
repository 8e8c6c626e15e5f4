import Foundation
import Glibc
import TestSupport
import Testing

/// A machine for one test: a separate network with separate rules and folders, and one backend.
///
/// Processes that still run in its network when the test ends are killed one by one, including guards.
final class Machine: Sendable {
    let backend: TestBackend
    let namespace: NetworkNamespace
    let root: TemporaryFolder
    private let pair: NamespacePair?

    private init(_ backend: TestBackend, _ namespace: NetworkNamespace, _ pair: NamespacePair?) throws {
        self.backend = backend
        self.namespace = namespace
        self.pair = pair
        root = try TemporaryFolder()
        try root.write(Answers.keep, to: "keep.yaml")
        try root.write(Answers.replace, to: "replace.yaml")
    }

    /// Provides a machine without neighbours.
    static func with<Result>(
        _ backend: TestBackend, _ body: (Machine) async throws -> Result
    ) async throws -> Result {
        let machine = try Machine(backend, try await NetworkNamespace(), nil)
        defer { machine.close() }
        return try await body(machine)
    }

    /// Provides a machine and the network outside it.
    static func withOutside<Result>(
        _ backend: TestBackend, _ body: (Machine, NetworkNamespace) async throws -> Result
    ) async throws -> Result {
        let pair = try await NamespacePair()
        let machine = try Machine(backend, pair.server, pair)
        defer { machine.close() }
        return try await body(machine, pair.outside)
    }

    private func close() {
        let ends = [pair?.outside, namespace].compactMap(\.self)
        for namespace in ends { namespace.killAll() }
        for namespace in ends { namespace.close() }
    }

    // MARK: - latchkey

    static let rehearsed = "rehearsed"

    /// Runs latchkey here and waits for its end.
    func latchkey(_ words: String..., timeout: Duration = .seconds(90)) async throws -> Finished {
        try await Latchkey.run(words, root: root, in: namespace, timeout: timeout)
    }

    /// The arguments of an apply of the answers for `existing`, with ten seconds unless `more` says otherwise.
    ///
    /// Without the rehearsal, which is slow and has its own tests; `rehearsed` among the arguments enables it.
    func applyWords(_ existing: Existing, _ more: [String] = []) -> [String] {
        ["apply", "--answers", "\(root.path)/\(existing.rawValue).yaml", "--backend", backend.rawValue]
            + (more.contains("--deadline") ? [] : ["--deadline", "10s"])
            + (more.contains(Self.rehearsed) ? [] : ["--no-rehearsal"]) + more.filter { $0 != Self.rehearsed }
    }

    /// Applies and waits for the outcome, or for the rules to be active with `--detach`.
    func apply(_ existing: Existing, _ more: String...) async throws -> Finished {
        try await Latchkey.run(applyWords(existing, more), root: root, in: namespace, timeout: .seconds(120))
    }

    /// Starts a change that stays pending long enough for a test that ends it itself.
    func begin(_ existing: Existing, _ more: String..., deadline: String = "5m") async throws {
        let words = applyWords(existing, ["--detach", "--deadline", deadline] + more)
        let finished = try await Latchkey.run(words, root: root, in: namespace, timeout: .seconds(90))
        guard finished.status == 0 else { throw SpawnError("apply --detach: \(finished.status) \(finished.errors)") }
    }

    func status() async throws -> JSON {
        try JSON(await latchkey("status", "--json"))
    }

    /// Waits until a change is pending, and returns its status.
    func pending() async throws -> JSON {
        var last: JSON?
        for _ in 0..<300 {
            let status = try await status()
            if status.text("state") == "pending", status.number("secondsLeft") != nil { return status }
            last = status
            try await Task.sleep(for: .milliseconds(200))
        }
        throw SpawnError("no change came to be pending: \(String(describing: last))")
    }

    // MARK: - Rules

    /// Loads rules of both families.
    func load(_ rules: (IPFamily) -> String) async throws {
        for family in IPFamily.allCases { try await namespace.restore(rules(family), family, backend) }
    }

    /// The dumps of both families without counters, for comparison as text.
    ///
    /// A table with only open chains has no effect: the legacy kernel cannot remove one that has been listed.
    func rules() async throws -> String {
        var all = ""
        for family in IPFamily.allCases {
            all += "\(family)\n" + EarlierRules.withoutEmptyTables(try await dump(family))
        }
        return all
    }

    /// The value of `rules` on a machine without rules.
    static let none = IPFamily.allCases.map { "\($0)\n" }.joined()

    func dump(_ family: IPFamily) async throws -> String { try await namespace.dump(family, backend) }

    /// Runs one iptables command.
    func iptables(_ line: String, _ family: IPFamily = .ipv4) async throws {
        try await namespace.mustRun(
            [backend.tool(family), "-w", "5"] + line.split(separator: " ").map(String.init))
    }

    // MARK: - Processes

    /// latchkey's own processes here that own or supervise a change.
    func processes(_ role: String) -> [pid_t] {
        namespace.processes().filter { id in
            let words = (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(id)/cmdline"))) ?? Data()
            return words.split(separator: 0).dropFirst().first.map { String(decoding: $0, as: UTF8.self) } == role
        }
    }

    /// Kills the guard and everything that would restart it, and waits until they are gone.
    func killGuardians() async throws {
        for _ in 0..<100 {
            let found = processes("supervise") + processes("guard")
            if found.isEmpty { return }
            for id in found { kill(id, SIGKILL) }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw SpawnError("the guard and its supervisor do not die")
    }
}

/// The two ways to treat existing rules.
enum Existing: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case keep, replace

    var testDescription: String { "existing: \(rawValue)" }
}

/// The parameters of a test: a backend and a way to treat rules.
struct Case: Sendable, CustomTestStringConvertible {
    let backend: TestBackend
    let existing: Existing

    /// Every backend with every way; each of them once where a person would not wait for all.
    static let all = Sampled.isComplete ? every : crossed

    private static let every = TestBackend.installed.flatMap { backend in
        Existing.allCases.map { Case(backend: backend, existing: $0) }
    }

    /// Each backend and each way once, for slow tests.
    static let crossed = zip(TestBackend.installed, Existing.allCases).map { Case(backend: $0, existing: $1) }

    var testDescription: String { "\(backend.testDescription), \(existing.testDescription)" }
}

extension NetworkNamespace {
    /// The processes in this network, except the one that holds it.
    func processes() -> [pid_t] {
        guard let own = Self.network(of: holderID), own != Self.network(of: getpid()) else { return [] }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.filter { $0 != holderID && Self.network(of: $0) == own }
    }

    /// Kills all of them, and repeats this while new ones appear.
    func killAll() {
        for _ in 0..<200 {
            let left = processes()
            if left.isEmpty { return }
            for id in left { kill(id, SIGKILL) }
            usleep(2_000)
        }
    }

    private static func network(of id: pid_t) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(id)/ns/net")
    }
}

/// Waits until a condition holds.
/// - Throws: `SpawnError` when it does not in time.
func until(_ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + limit
    // Looking often is expensive where each look starts programs.
    var pause = Duration.milliseconds(20)
    while try await !condition() {
        guard ContinuousClock.now < end else { throw SpawnError("timed out waiting for: \(what)") }
        try await Task.sleep(for: pause)
        pause = min(pause * 1.5, .milliseconds(300))
    }
}
