import Host
import Logging
import Netfilter
import Synchronization
import TestSupport
import Testing

@testable import SafeApply

/// Tests of guards in this process, one at a time: each blocks a thread, waiting for its socket, that others need.
@Suite("A guard in this process", .serialized)
enum GuardTests {}

/// An iptables that prints what was last loaded; other programs are real.
final class LoadedRules: CommandRunner {
    /// The failure of an iptables-restore call, by its arguments and input; nil lets it pass.
    typealias Fault = @Sendable (_ arguments: [String], _ input: String) -> CommandResult?

    private let text = Mutex("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n")
    private let fault = Mutex<Fault?>(nil)
    private let messages = Mutex<[String]>([])

    var current: String { text.withLock { $0 } }

    /// The messages passed to wall(1).
    var told: [String] { messages.withLock { $0 } }

    /// Changes that another program makes to the rules.
    func edit(_ input: String) { text.withLock { $0 = Self.loaded(input, onto: $0) } }

    func fail(_ fault: @escaping Fault) { self.fault.withLock { $0 = fault } }

    func run(_ command: Command) async throws(HostError) -> CommandResult {
        let input = String(decoding: command.input, as: UTF8.self)
        switch SecureFiles.name(of: command.program) {
        case "iptables-nft-save": return CommandResult(status: 0, output: Array(current.utf8))
        case "iptables-nft-restore":
            if let result = fault.withLock({ $0 })?(command.arguments, input) { return result }
            // A command that cannot be carried out makes the whole load fail.
            let isDone = text.withLock { text in
                let after = Self.loaded(input, onto: text)
                let isDone =
                    (try? RuleSet(dumped: after, file: "after"))?.tables.contains(where: \.hasCommands) == false
                if isDone { text = after }
                return isDone
            }
            return isDone ? CommandResult(status: 0) : CommandResult(status: 1, message: "line 2 failed: No such rule")
        case "sha256sum": return try await SystemRunner().run(command)
        case "wall": messages.withLock { $0.append(input) }
        default: break
        }
        return CommandResult(status: 0)
    }

    private static func loaded(_ input: String, onto text: String) -> String {
        guard let live = try? RuleSet(dumped: text, file: "live") else { return text }
        return SimulatedKernel.loaded(input, onto: live).text
    }
}

/// The result of loading input onto the rules with `--noflush`.
enum SimulatedKernel {
    static func loaded(_ input: String, onto live: RuleSet) -> RuleSet {
        guard let read = try? RuleSet(dumped: input, file: "input") else { return live }
        var result = live
        for table in read.tables {
            let entries = (result[table.name]?.entries ?? []) + table.entries
            let own = (Chain.builtIn(ofTable: table.name) ?? []).map { Chain($0, policy: .accept) }
            result[table.name] =
                Table(table.name, entries: entries).normalized() ?? Table(table.name, chains: own)
        }
        return result
    }
}

/// The kernel's clocks, set forward or back.
final class MovedClock: Sendable {
    private let offsets = Mutex((boot: Int64(0), date: Int64(0)))

    var clock: BootClock {
        BootClock(
            now: { BootClock.system.now().advanced(milliseconds: self.offsets.withLock { $0.boot }) },
            date: { BootClock.system.date() + self.offsets.withLock { $0.date } })
    }

    func setDate(by seconds: Int64) { offsets.withLock { $0.date += seconds } }

    func passTime(milliseconds: Int64) { offsets.withLock { $0.boot += milliseconds } }
}

/// The SSH connections that a test simulates.
final class StagedWitness: Sendable {
    private let state = Mutex((isWaiting: false, login: (address: String, started: BootInstant)?.none))

    /// Whether a connection waits for sshd to accept it.
    func setWaiting(_ isWaiting: Bool) { state.withLock { $0.isWaiting = isWaiting } }

    /// The connection of the current client; nil for the console.
    func setLogin(_ address: String, started: BootInstant) { state.withLock { $0.login = (address, started) } }

    var witness: ConnectionWitness {
        ConnectionWitness(
            proof: { _, since in
                guard let login = self.state.withLock({ $0.login }) else { return .local }
                return login.started > since ? .fresh(address: login.address) : .none(reason: "It is older.")
            },
            newLogin: { since in
                self.state.withLock {
                    $0.login.map { $0.started > since ? .succeeded(address: $0.address) : .none } ?? .none
                }
            },
            noneWaiting: { _ in !self.state.withLock { $0.isWaiting } }, tracksConnections: { true })
    }
}

/// A guard in this process, with text in place of the kernel's rules.
struct GuardBench {
    private let folder: TemporaryFolder
    let rules = LoadedRules()
    let moved = MovedClock()
    let connections = StagedWitness()
    var environment: ChangeEnvironment
    /// Held so that the guard considers its supervisor alive and starts none.
    private let supervisor: FileLock?

    private static let id = "20260101-000000"
    private static let plan = """
        *filter
        :INPUT DROP [0:0]
        :FORWARD ACCEPT [0:0]
        :OUTPUT ACCEPT [0:0]
        -A INPUT -i lo -j ACCEPT
        COMMIT

        """

    /// A bench with a change, requested from an address, that waits for its guard.
    init(from address: String? = nil) throws {
        folder = try TemporaryFolder()
        for name in ["iptables-nft", "iptables-nft-save", "iptables-nft-restore", "wall"] {
            try folder.write("", to: "usr/sbin/\(name)", mode: 0o700)
        }
        let layout = Layout(root: folder.path)
        environment = ChangeEnvironment(
            layout: layout, toolbox: Toolbox(layout: layout), runner: rules, clock: moved.clock,
            witness: connections.witness, bootID: "boot", families: [.ipv4],
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        // The kernel shows this list while a rule uses it.
        try folder.write("", to: "xt_recent/latchkey4")
        environment.recentFolder = "\(folder.path)/xt_recent"
        try SecureFiles.makeFolder(layout.run)
        supervisor = try FileLock.tryAcquire(layout.supervisorLock)
        let request = ChangeRequest(
            id: Self.id, scope: .tables, rules: PerFamily(ipv4: Self.plan), backend: .nft, deadlineSeconds: 60,
            requester: Requester(user: "ada", address: address), sshPorts: [22], admins: [],
            answers: nil, persists: false)
        try SecureFiles.write(
            Array(JSONText.encode(request).utf8), to: layout.request(Self.id))
    }

    /// The writes to the list of the match recent: "+0.0.0.0" opens the gate, "/" closes it.
    var gate: String { (try? folder.read("xt_recent/latchkey4")) ?? "" }

    /// Another program has removed the rules that use the list, or restored them.
    func removeList() throws { try SecureFiles.remove("\(folder.path)/xt_recent/latchkey4") }

    func makeList() throws { try folder.write("", to: "xt_recent/latchkey4") }

    /// The waiting request.
    func request() throws -> ChangeRequest {
        let path = environment.layout.request(Self.id)
        return try #require(JSONText.decode(ChangeRequest.self, from: try SecureFiles.readTrusted(path)))
    }

    /// Runs a guard that owns the change to its end.
    func serve() -> Task<Void, any Error> {
        let environment = environment
        return Task {
            var guardian = try #require(
                try await Guard.own(Self.id, supervisor: .process, in: environment))
            await guardian.serve()
        }
    }

    func ask(_ request: GuardRequest) async throws -> GuardReply {
        for _ in 0..<1_000 {
            if let connection = try UnixSocket.connect(environment.layout.socket) {
                connection.send(JSONText.encode(request))
                for _ in 0..<1_000 {
                    if case .line(let line) = connection.read() {
                        return try #require(JSONText.decode(GuardReply.self, from: Array(line.utf8)))
                    }
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw SpawnError("the guard does not answer \(request.verb)")
    }

    /// Creates a folder at the path where the journal's next text would be written.
    func blockJournal() throws {
        try SecureFiles.makeFolder(
            "\(environment.layout.run)/.\(SecureFiles.name(of: environment.layout.journal)).new")
    }

    var journal: Journal? { try? JournalFile(layout: environment.layout).read() }
}
