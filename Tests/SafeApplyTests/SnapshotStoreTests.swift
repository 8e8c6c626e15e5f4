import Foundation
import Host
import Logging
import TestSupport
import Testing

@testable import SafeApply

@Suite("Snapshots on disk")
struct SnapshotStoreTests {
    private let folder: TemporaryFolder
    private let environment: ChangeEnvironment
    private let store: SnapshotStore

    init() throws {
        folder = try TemporaryFolder()
        environment = .system(Layout(root: folder.path), log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        store = SnapshotStore(environment)
    }

    private static func snapshot(_ id: String, saved: SavedState = SavedState(files: [], kept: nil)) -> Snapshot {
        Snapshot(
            meta: Snapshot.Meta(
                id: id, date: 1_767_225_600, bootID: "boot", backend: .nft, version: "iptables v1.8.9 (nf_tables)",
                requester: Requester(user: "ada", address: "192.0.2.7"), sha256: [:]),
            rules: PerFamily(
                ipv4: "*filter\n:INPUT DROP [1:2]\nCOMMIT\n", ipv6: "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"),
            sets: "create bans hash:ip\nadd bans 192.0.2.1\n",
            tables: "table inet latchkey {\n}\n", saved: saved)
    }

    private func mode(_ relative: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + relative)
        return (attributes[.posixPermissions] as? Int) ?? -1
    }

    @Test("what is written is read back unchanged")
    func roundTrip() async throws {
        let saved = SavedState(
            files: [
                StateFile(path: "/etc/iptables/rules.v4", content: .file(text: "ä\n", mode: 0o640)),
                StateFile(path: "/etc/iptables/rules.v6", content: .absent),
                StateFile(path: "/etc/systemd/system/latchkey-restore.service", content: .link(target: "/dev/null")),
            ], kept: KeptRules(id: "1", rules: PerFamily(ipv4: "*filter\nCOMMIT\n"), backend: .legacy))
        let written = Self.snapshot("20260101-000000", saved: saved)
        try await store.write(written)
        var read = try await store.read("20260101-000000")
        #expect(read.meta.sha256.keys.sorted() == Self.files.sorted())
        read.meta.sha256 = [:]
        #expect(read == written)
    }

    @Test("the checksums match those of sha256sum")
    func sums() async throws {
        try await store.write(Self.snapshot("1"))
        let sums = try await store.read("1").meta.sha256
        #expect(sums["ipv4.rules"] == "c44d75ac918796fe872a4d580a10b5745e578527b5cbebead0d0a6709fe56b65")
    }

    private static let files = ["meta.json", "ipv4.rules", "ipv6.rules", "ipsets", "nftables.rules", "saved.json"]

    @Test("only root can read them, even if the folder was open to all")
    func modes() async throws {
        try folder.write("", to: "var/lib/latchkey/x", mode: 0o644)
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: folder.path + "/var/lib/latchkey")
        try await store.write(Self.snapshot("1"))
        for path in ["", "/snapshots", "/snapshots/1"] { #expect(try mode("/var/lib/latchkey" + path) == 0o700) }
        for name in Self.files { #expect(try mode("/var/lib/latchkey/snapshots/1/" + name) == 0o600) }
    }

    // MARK: Damage

    /// Possible damage to a file.
    enum Damage: String, CaseIterable, Sendable {
        case byte, truncated, empty, removed, link, folder, writable

        func happen(to path: String) throws {
            let manager = FileManager.default
            switch self {
            case .byte:
                var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
                bytes[bytes.count / 2] ^= 1
                try bytes.write(to: URL(fileURLWithPath: path))
            case .truncated:
                let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
                try bytes.dropLast(bytes.count / 3).write(to: URL(fileURLWithPath: path))
            case .empty: try Data().write(to: URL(fileURLWithPath: path))
            case .removed: try manager.removeItem(atPath: path)
            case .link:
                try manager.moveItem(atPath: path, toPath: path + ".moved")
                try manager.createSymbolicLink(atPath: path, withDestinationPath: path + ".moved")
            case .folder:
                try manager.removeItem(atPath: path)
                try manager.createDirectory(atPath: path, withIntermediateDirectories: false)
            case .writable: try manager.setAttributes([.posixPermissions: 0o666], ofItemAtPath: path)
            }
        }
    }

    @Test("a damaged file is named, and its snapshot refused", arguments: Damage.allCases, files)
    func damage(damage: Damage, name: String) async throws {
        try await store.write(Self.snapshot("1"))
        let path = folder.path + "/var/lib/latchkey/snapshots/1/" + name
        try damage.happen(to: path)
        let error = await #expect(throws: ChangeError.self) { try await store.read("1") }
        guard case .damaged(let named, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(named == path)
        #expect(try store.list() == ["1"], "it is still listed")
    }

    @Test("meta.json with one changed value is refused: its checksum covers it too")
    func forged() async throws {
        try await store.write(Self.snapshot("1"))
        let path = folder.path + "/var/lib/latchkey/snapshots/1/meta.json"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try Data(text.replacing("\"nft\"", with: "\"legacy\"").utf8).write(to: URL(fileURLWithPath: path))
        await #expect(throws: ChangeError.damaged(path: path, reason: "its SHA-256 sum is not the one it contains")) {
            try await store.read("1")
        }
    }

    @Test("a folder that is a link, or that others can write, is refused", arguments: ["/1", ""])
    func folders(which: String) async throws {
        try await store.write(Self.snapshot("1"))
        let path = folder.path + "/var/lib/latchkey/snapshots" + which
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: path)
        await #expect(throws: ChangeError.self) { try await store.read("1") }
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        _ = try await store.read("1")
        try Damage.link.happen(to: path)
        await #expect(throws: ChangeError.self) { try await store.read("1") }
    }

    @Test(
        "no name leads outside the folder",
        arguments: ["", ".", "..", "../1", "1/../1", "1\n", "a", String(repeating: "1", count: 33)])
    func names(id: String) async throws {
        try await store.write(Self.snapshot("1"))
        await #expect(throws: ChangeError.noSnapshot(id: id)) { try await store.read(id) }
        #expect(throws: ChangeError.noSnapshot(id: id)) { try store.remove(id) }
    }

    // MARK: Pruning

    @Test("prune removes the oldest and half-written ones, and nothing else", arguments: 0...4)
    func prune(count: Int) async throws {
        for id in ["1-9", "1-10", "2"] { try await store.write(Self.snapshot(id)) }
        try folder.write("half", to: "var/lib/latchkey/snapshots/3/ipv4.rules")
        try folder.write("not ours", to: "var/lib/latchkey/snapshots/notes/x")
        let removed = try store.prune(keeping: count)
        #expect(removed == Array(["1-9", "1-10", "2"].dropLast(count)) + ["3"])
        #expect(try store.list() == Array(["1-9", "1-10", "2"].suffix(count)))
        #expect(FileManager.default.fileExists(atPath: folder.path + "/var/lib/latchkey/snapshots/notes/x"))
    }

    @Test("a snapshot that is being written is not pruned: a guard holds the lock")
    func beingWritten() throws {
        try folder.write("half", to: "var/lib/latchkey/snapshots/3/ipv4.rules")
        try SecureFiles.makeFolder(environment.layout.run)
        let lock = try FileLock.tryAcquire(environment.layout.lock)
        #expect(try store.prune(keeping: 0).isEmpty)
        withExtendedLifetime(lock) {}
    }

    @Test(
        "prune removes nothing if it is unknown what is needed",
        arguments: ["run/latchkey/journal.json", "var/lib/latchkey/kept.json"])
    func doubtful(path: String) async throws {
        try await store.write(Self.snapshot("1"))
        try folder.write("{", to: path)
        #expect(throws: ChangeError.self) { try store.prune(keeping: 0) }
        #expect(try store.list() == ["1"])
    }

    @Test("prune keeps the snapshots of the journal's change, of its source while it is pending, and of the kept one")
    func needed() async throws {
        for id in ["1", "2", "3", "4"] { try await store.write(Self.snapshot(id)) }
        var request = ChangeRequest(
            id: "3", scope: .tables, rules: PerFamily(), backend: .nft, deadlineSeconds: 60,
            requester: Requester(user: "ada", address: nil), sshPorts: [22], admins: [], answers: nil, persists: true)
        request.restores = Restored(
            snapshot: "2", saved: SavedState(files: [], kept: nil), sets: "", emptied: PerFamily())
        var journal = Journal(request: request, bootID: "boot", supervisor: .process)
        try SecureFiles.makeFolder(environment.layout.run)
        try JournalFile(layout: environment.layout).write(journal)
        let kept = KeptRules(id: "1", rules: PerFamily(), backend: .nft)
        try folder.write(JSONText.encode(kept), to: "var/lib/latchkey/kept.json")
        #expect(try store.prune(keeping: 0) == ["4"])
        journal.state = .reverted
        try JournalFile(layout: environment.layout).write(journal)
        #expect(try store.prune(keeping: 0) == ["2"])
    }
}
