import Host
import Logging
import Netfilter
import Synchronization
import TestSupport
import Testing

@testable import SafeApply

/// An iptables that prints what was last loaded; other programs are real.
private final class LoadedRules: CommandRunner {
    private let text = Mutex("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n")

    var current: String { text.withLock { $0 } }

    func run(_ command: Command) async throws(HostError) -> CommandResult {
        switch SecureFiles.name(of: command.program) {
        case "iptables-nft-save": return CommandResult(status: 0, output: Array(current.utf8))
        case "iptables-nft-restore":
            if !command.arguments.contains("--test") {
                text.withLock { $0 = String(decoding: command.input, as: UTF8.self) }
            }
            return CommandResult(status: 0)
        case "sha256sum": return try await SystemRunner().run(command)
        default: return CommandResult(status: 0)
        }
    }
}

/// The kernel's clocks, set forward or back.
private final class MovedClock: Sendable {
    private let offsets = Mutex((boot: Int64(0), date: Int64(0)))

    var clock: BootClock {
        BootClock(
            now: { BootClock.system.now().advanced(milliseconds: self.offsets.withLock { $0.boot }) },
            date: { BootClock.system.date() + self.offsets.withLock { $0.date } })
    }

    func setDate(by seconds: Int64) { offsets.withLock { $0.date += seconds } }

    func passTime(milliseconds: Int64) { offsets.withLock { $0.boot += milliseconds } }
}

/// A guard in this process, over a kernel that is a text.
@Suite("The guard and the clocks")
struct GuardClockTests {
    private let folder: TemporaryFolder
    private let rules = LoadedRules()
    private let moved = MovedClock()
    private let surroundings: Surroundings
    /// Held, so that the guard takes its supervisor for alive and starts none.
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

    init() throws {
        folder = try TemporaryFolder()
        for name in ["iptables-nft", "iptables-nft-save", "iptables-nft-restore"] {
            try folder.write("", to: "usr/sbin/\(name)", mode: 0o700)
        }
        let layout = Layout(root: folder.path)
        surroundings = Surroundings(
            layout: layout, toolbox: Toolbox(layout: layout), runner: rules, clock: moved.clock,
            witness: ConnectionWitness(
                proof: { _, _ in .local }, freshLogin: { _ in nil }, noneWaiting: { _ in true },
                tracksConnections: { true }),
            bootID: "boot", families: [.ipv4], log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try SecureFiles.makeFolder(layout.run)
        supervisor = try FileLock.tryAcquire(layout.supervisorLock)
        let request = ChangeRequest(
            id: Self.id, scope: .tables, rules: PerFamily(ipv4: Self.plan), isCanonical: true, backend: .nft,
            deadlineSeconds: 60, requester: Requester(user: "ada", address: nil), sshPorts: [22], admins: [],
            answers: nil, persists: false)
        try SecureFiles.write(
            Array(JSONText.encode(request).utf8), to: Guard.requestPath(Self.id, layout: layout))
    }

    private func ask(_ request: GuardRequest) async throws -> GuardReply {
        for _ in 0..<1_000 {
            if let connection = try UnixSocket.connect(surroundings.layout.socket) {
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

    /// Waits until the rules carry an expiry that lies so many seconds behind a date, give or take three.
    private func expectExpiry(_ seconds: Int64, after date: Int64, _ comment: Comment) async throws {
        let wanted = (seconds - 3...seconds + 3).map { UTCTime(secondsSince1970: date + $0).iso8601 }
        for _ in 0..<1_000 {
            if wanted.contains(where: { rules.current.contains("--datestop \($0)") }) { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("\(comment): not \(wanted[3]) in \(rules.current)")
    }

    @Test("the date set forward or back moves the kernel's expiry along and leaves the deadline alone")
    func dateChanges() async throws {
        let surroundings = surroundings
        let earlier = rules.current
        let serving = Task {
            var guardian = try #require(
                try await Guard.own(Self.id, supervisor: .process, in: surroundings))
            await guardian.serve()
        }
        let begun = try await ask(GuardRequest(.begin))
        #expect(begun.answer == .done, "\(begun.text)")
        let start = surroundings.clock.date()
        let day: Int64 = 86_400
        try await expectExpiry(60 + Expiry.grace, after: start, "at the beginning")

        moved.setDate(by: day)
        try await expectExpiry(60 + Expiry.grace, after: start + day, "a day forward")
        moved.setDate(by: -2 * day)
        try await expectExpiry(60 + Expiry.grace, after: start - day, "two days back")
        let status = try await ask(GuardRequest(.status)).status
        #expect(status.state == .applied)
        #expect((30...60).contains(status.secondsLeft ?? 0), "\(status.secondsLeft ?? -1) s are left")

        _ = try await ask(GuardRequest(.extend, seconds: 60))
        try await expectExpiry(120 + Expiry.grace, after: start - day, "with more time")

        moved.passTime(milliseconds: 121_000)
        try await serving.value
        #expect(rules.current == earlier)
        withExtendedLifetime(supervisor) {}
    }
}
