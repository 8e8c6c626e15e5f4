import Foundation
import Host
import Logging
import Synchronization
import TestSupport
import Testing

@testable import SafeApply

/// Records log messages.
private struct RecordingLog: LogHandler {
    let lines: Lines
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.all.withLock { $0.append("\(event.level): \(event.message)") } }
}

@Suite("History")
struct HistoryTests {
    private let folder: TemporaryFolder
    private let lines = RecordingLog.Lines()
    private let history: History

    init() throws {
        folder = try TemporaryFolder()
        let lines = lines
        var environment = ChangeEnvironment.system(
            Layout(root: folder.path), log: Logger(label: "test") { _ in RecordingLog(lines: lines) })
        environment.clock = BootClock(now: { BootInstant(nanoseconds: 0) }, date: { 1_767_225_600 })
        history = History(environment)
    }

    private static func journal(
        _ id: String, _ state: JournalState = .prepared, reason: String = "", address: String? = "192.0.2.7"
    ) -> Journal {
        let request = ChangeRequest(
            id: id, scope: .inputChain, rules: PerFamily(), backend: .nft, deadlineSeconds: 60,
            requester: Requester(user: "ada", address: address), sshPorts: [22], admins: [], answers: nil,
            persists: true)
        var journal = Journal(request: request, bootID: "boot", supervisor: .process)
        journal.state = state
        journal.reason = reason
        return journal
    }

    private var path: String { folder.path + "/var/lib/latchkey/history.jsonl" }

    private func append(_ text: String) throws {
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
    }

    @Test("a change has one line when it begins and one when it ends, readable by root only")
    func lifetime() throws {
        history.began(Self.journal("1"))
        history.ended(Self.journal("1", .persisted, reason: "Confirmed."))
        history.began(Self.journal("2", address: nil))
        let entries = try history.entries()
        #expect(entries.map(\.began.change) == ["1", "2"])
        #expect(entries[0].ended?.state == .persisted)
        #expect(entries[0].ended?.reason == "Confirmed.")
        #expect(entries[0].began.time == "2026-01-01T00:00:00Z")
        #expect(entries[0].began.requester == Requester(user: "ada", address: "192.0.2.7"))
        #expect(entries[1].ended == nil)
        let text = try folder.read("var/lib/latchkey/history.jsonl")
        #expect(text.split(separator: "\n").count == 3 && text.hasSuffix("\n"))
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test("the log says who, from where, how much, how long, and with what outcome")
    func log() {
        history.began(Self.journal("1"))
        history.applied(Self.journal("1", .applied))
        history.ended(Self.journal("1", .reverted, reason: "Nobody confirmed."))
        history.ended(Self.journal("2", .failed, reason: "The door is open."))
        let begins = "Change 1 begins: ada from 192.0.2.7, from answers, scope inputChain, iptables-nft, deadline 60 s."
        #expect(
            lines.all.withLock { $0 } == [
                "notice: \(begins)", "notice: Change 1 is active. It rolls back in 60 s unless kept.",
                "notice: Change 1 is rolled back: Nobody confirmed.", "critical: Change 2 failed: The door is open.",
            ])
    }

    @Test("an incomplete line damages neither the lines before it nor those after it")
    func brokenLine() throws {
        history.began(Self.journal("1"))
        try append("{\"change\":\"2\",\"ev")
        history.ended(Self.journal("1", .reverted))
        let entries = try history.entries()
        #expect(entries.map(\.began.change) == ["1"])
        #expect(entries.first?.ended?.state == .reverted)
    }

    @Test("a planted link is not followed; the change continues and the log says so")
    func plantedLink() throws {
        try folder.write("mine\n", to: "elsewhere")
        try FileManager.default.createDirectory(
            atPath: folder.path + "/var/lib/latchkey", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: folder.path + "/elsewhere")
        history.began(Self.journal("1"))
        #expect(try folder.read("elsewhere") == "mine\n")
        #expect(lines.all.withLock { $0.contains { $0.hasPrefix("error: The history cannot be written") } })
        #expect(throws: ChangeError.self) { try history.entries() }
    }
}
