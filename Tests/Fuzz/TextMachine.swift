import FoundationEssentials
import Glibc
import Logging
import Synchronization

@testable import Host
@testable import Netfilter
@testable import SafeApply

/// A machine for a guard: folders of its own, and text in place of the kernel's rules.
struct TextMachine {
    let rules = TextRules()
    let clock = HurryingClock()
    private(set) var environment: ChangeEnvironment
    private let folder: String
    /// Held so that the guard considers its supervisor alive.
    private var supervisor: FileLock?

    /// The name of the change.
    static let change = "20260101-000000"
    /// The rules that it makes.
    static let plan = RuleSet(tables: [Table("filter", chains: [Chain("INPUT", policy: .drop)])])

    init() {
        let memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        folder = "\(memory)/latchkey-fuzz-\(getpid())"
        let layout = Layout(root: folder)
        let clock = clock
        environment = ChangeEnvironment(
            layout: layout, toolbox: Toolbox(layout: layout), runner: rules,
            clock: BootClock(now: { clock.now() }, date: { 1_767_225_600 }),
            witness: ConnectionWitness(
                proof: { _, _ in .local }, newLogin: { _ in .none }, noneWaiting: { _ in true },
                tracksConnections: { true }),
            bootID: "boot", families: [.ipv4], log: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() })
        environment.recentFolder = "\(folder)/xt_recent"
    }

    /// Makes the folders, the programs and the request.
    mutating func prepare() throws {
        remove()
        let layout = environment.layout
        for path in [folder, layout.run, layout.path("/usr/sbin"), environment.recentFolder] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            chmod(path, 0o700)
        }
        for name in ["iptables-nft", "iptables-nft-save", "iptables-nft-restore", "wall"] {
            let path = layout.path("/usr/sbin/\(name)")
            try SecureFiles.write([], to: path)
            chmod(path, 0o700)
        }
        // The kernel shows this list while a rule uses it.
        try SecureFiles.write([], to: "\(environment.recentFolder)/latchkey4")
        supervisor = try FileLock.tryAcquire(layout.supervisorLock)
        let request = ChangeRequest(
            id: Self.change, scope: .tables, rules: PerFamily(ipv4: Self.plan.text), backend: .nft,
            deadlineSeconds: 600, requester: Requester(user: "ada", address: nil), sshPorts: [22], admins: [],
            answers: nil, persists: false)
        try SecureFiles.write(Array(JSONText.encode(request).utf8), to: layout.request(Self.change))
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }
}

/// An iptables that prints what was loaded last.
final class TextRules: CommandRunner {
    private let text = Mutex("")

    /// The rules as it prints them.
    var current: String { text.withLock { $0 } }

    func run(_ command: Command) async throws(HostError) -> CommandResult {
        switch SecureFiles.name(of: command.program) {
        case "iptables-nft-save": return CommandResult(status: 0, output: Array(current.utf8))
        case "iptables-nft-restore":
            text.withLock { $0 = Self.loaded(String(decoding: command.input, as: UTF8.self), onto: $0) }
        default: break
        }
        return CommandResult(status: 0)
    }

    /// The rules after input was loaded with `--noflush`.
    private static func loaded(_ input: String, onto text: String) -> String {
        guard let read = try? RuleSet(dumped: input, file: "input"),
            var result = try? RuleSet(dumped: text, file: "live")
        else { return text }
        for table in read.tables {
            let entries = (result[table.name]?.entries ?? []) + table.entries
            let chains = (Chain.builtIn(ofTable: table.name) ?? []).map { Chain($0, policy: .accept) }
            result[table.name] =
                Table(table.name, entries: entries).normalized() ?? Table(table.name, chains: chains)
        }
        return result.text
    }
}

/// A clock that hurries at first, so that nothing waits for a change to begin.
final class HurryingClock: Sendable {
    private let state = Mutex((isHurrying: true, offset: Int64(0)))

    /// Whether each reading is a moment after the one before.
    var isHurrying: Bool {
        get { state.withLock { $0.isHurrying } }
        set { state.withLock { $0.isHurrying = newValue } }
    }

    func now() -> BootInstant {
        let offset = state.withLock { state in
            if state.isHurrying { state.offset += 150 }
            return state.offset
        }
        return BootClock.system.now().advanced(milliseconds: offset)
    }
}
