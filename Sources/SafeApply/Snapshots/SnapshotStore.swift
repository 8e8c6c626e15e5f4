import Glibc
import Host
import Netfilter

/// The snapshots of a machine, one folder each, readable by root only.
package struct SnapshotStore: Sendable {
    private let layout: Layout

    /// The store of a machine.
    package init(_ environment: ChangeEnvironment) {
        layout = environment.layout
    }

    /// Writes a snapshot durably: a power cut after this call cannot lose it.
    ///
    /// - Throws: `host` if it cannot be written; a partial snapshot is removed.
    package func write(_ snapshot: Snapshot) async throws(ChangeError) {
        let folder = folder(snapshot.meta.id)
        do {
            try ChangeError.wrap { () throws(HostError) in
                try SecureFiles.makeFolder(layout.state)
                try SecureFiles.makeFolder(layout.snapshots)
                try SecureFiles.makeFolder(folder)
            }
            var meta = snapshot.meta
            for (name, text) in files(of: snapshot) {
                let bytes = DumpText.bytes(text)
                try ChangeError.wrap { () throws(HostError) in try SecureFiles.write(bytes, to: "\(folder)/\(name)") }
                meta.sha256[name] = SHA256.hexadecimal(of: bytes)
            }
            meta.sha256[Self.metaName] = sum(of: meta)
            // meta.json comes last: a folder without it is not a snapshot.
            let text = JSONText.encode(meta)
            try ChangeError.wrap { () throws(HostError) in
                try SecureFiles.write(Array(text.utf8), to: "\(folder)/\(Self.metaName)")
                for path in [layout.snapshots, layout.state] { try SecureFiles.syncFolder(path) }
            }
        } catch {
            try? remove(snapshot.meta.id)
            throw error
        }
    }

    /// Reads a snapshot and checks every file against its sum.
    ///
    /// - Throws: `noSnapshot`; `damaged` with the file.
    package func read(_ id: String) async throws(ChangeError) -> Snapshot {
        let meta = try readMeta(id)
        let folder = folder(id)
        guard sum(of: meta) == meta.sha256[Self.metaName] else {
            throw .damaged(path: "\(folder)/\(Self.metaName)", reason: "its SHA-256 sum is not the one it contains")
        }
        var texts: [String: String] = [:]
        for (name, sum) in meta.sha256.sorted(by: { $0.key < $1.key }) where name != Self.metaName {
            let path = "\(folder)/\(name)"
            guard Self.fileNames.contains(name) else {
                throw .damaged(path: path, reason: "a snapshot has no such file")
            }
            let bytes = try trusted(path)
            guard SHA256.hexadecimal(of: bytes) == sum else {
                throw .damaged(path: path, reason: "its SHA-256 sum is not the one in meta.json")
            }
            texts[name] = DumpText.decode(bytes)
        }
        guard let saved = texts["saved.json"].flatMap({ JSONText.decode(SavedState.self, from: Array($0.utf8)) }) else {
            throw .damaged(path: "\(folder)/saved.json", reason: "it is not from this version of latchkey")
        }
        return Snapshot(
            meta: meta, rules: PerFamily(ipv4: texts["ipv4.rules"], ipv6: texts["ipv6.rules"]),
            newBackendRules: PerFamily(ipv4: texts["ipv4.new-backend.rules"], ipv6: texts["ipv6.new-backend.rules"]),
            sets: texts["ipsets"] ?? "", tables: texts["nftables.rules"] ?? "", saved: saved)
    }

    /// Reads only the `meta.json` of a snapshot, without checking the sums.
    ///
    /// - Throws: `noSnapshot`, `damaged`.
    func readMeta(_ id: String) throws(ChangeError) -> Snapshot.Meta {
        let folder = folder(id)
        guard Self.isValid(id: id), SecureFiles.exists(folder) else { throw .noSnapshot(id: id) }
        for path in [layout.snapshots, folder] {
            do { try SecureFiles.requireFolder(path) } catch { throw Self.damaged(path, error) }
        }
        let path = "\(folder)/\(Self.metaName)"
        guard let meta = JSONText.decode(Snapshot.Meta.self, from: try trusted(path)), meta.id == id else {
            throw .damaged(path: path, reason: "it does not describe snapshot \(id)")
        }
        return meta
    }

    /// The IDs of all snapshots, intact or damaged, oldest first.
    ///
    /// - Throws: `host` when the folder cannot be read.
    package func list() throws(ChangeError) -> [String] {
        guard SecureFiles.exists(layout.snapshots) else { return [] }
        let names = try ChangeError.wrap { () throws(HostError) in try SecureFiles.names(in: layout.snapshots) }
        return names.filter { Self.isValid(id: $0) }.sorted { Self.order($0).lexicographicallyPrecedes(Self.order($1)) }
    }

    /// Deletes a snapshot, `meta.json` first, so that a partly deleted one is not a snapshot.
    ///
    /// - Throws: `host` if a part of it stays.
    package func remove(_ id: String) throws(ChangeError) {
        guard Self.isValid(id: id) else { throw .noSnapshot(id: id) }
        let folder = folder(id)
        try ChangeError.wrap { () throws(HostError) in
            try SecureFiles.removeFolder(folder, first: Self.metaName)
        }
    }

    /// Deletes all snapshots except the newest ones and those that a rollback needs.
    ///
    /// Needed are the snapshots of the pending or last change, and of the last kept change. If these are unknown, nothing
    /// is deleted.
    ///
    /// - Parameter count: how many of the newest are kept.
    /// - Returns: the IDs of the deleted ones, oldest first.
    /// - Throws: `damaged`, `host`.
    package func prune(keeping count: Int) throws(ChangeError) -> [String] {
        var needed: Set<String> = []
        if let journal = try JournalFile(layout: layout).read() {
            needed.insert(journal.request.id)
            if let source = journal.request.restores?.snapshot, !journal.state.isFinal { needed.insert(source) }
        }
        if let kept = try Persistence.lastKept(layout) { needed.insert(kept.id) }
        // A snapshot that is being written has no meta.json yet; only the lock distinguishes it from an abandoned one.
        let runs = SecureFiles.exists(layout.run)
        let lock = try ChangeError.wrap { () throws(HostError) in runs ? try FileLock.tryAcquire(layout.lock) : nil }
        let isQuiet = lock != nil || !runs
        let all = try list()
        let whole = all.filter { SecureFiles.exists("\(folder($0))/\(Self.metaName)") }
        let newest = Set(whole.suffix(count))
        var removed: [String] = []
        for id in all where !newest.contains(id) && !needed.contains(id) && (isQuiet || whole.contains(id)) {
            try remove(id)
            removed.append(id)
        }
        return withExtendedLifetime(lock) { removed }
    }

    /// An ID that no snapshot has yet: date and time, UTC, with a number if necessary.
    package func freshID(date: Int64) -> String {
        let base = UTCTime(secondsSince1970: date).compact
        var id = base
        var number = 2
        while SecureFiles.exists("\(layout.snapshots)/\(id)") {
            id = "\(base)-\(number)"
            number += 1
        }
        return id
    }

    /// Whether a text can be the ID of a snapshot: only digits and hyphens, so that a path never leaves the folder.
    package static func isValid(id: String) -> Bool {
        !id.isEmpty && id.utf8.count <= 32 && id.utf8.allSatisfy { $0 == 0x2D || (0x30...0x39).contains($0) }
    }

    private static let metaName = "meta.json"
    private static let fileNames: Set<String> = [
        "ipv4.rules", "ipv6.rules", "ipv4.new-backend.rules", "ipv6.new-backend.rules", "ipsets", "nftables.rules",
        "saved.json",
    ]

    private func folder(_ id: String) -> String { "\(layout.snapshots)/\(id)" }

    /// `20261122-154210-10` comes after `20261122-154210-9`.
    private static func order(_ id: String) -> [Int] { id.split(separator: "-").map { Int($0) ?? .max } }

    private func files(of snapshot: Snapshot) -> [(name: String, text: String)] {
        snapshot.rules.present.map { ("\($0.family.rawValue).rules", $0.value) }
            + snapshot.newBackendRules.present.map { ("\($0.family.rawValue).new-backend.rules", $0.value) }
            + (snapshot.sets.isEmpty ? [] : [("ipsets", snapshot.sets)])
            + (snapshot.tables.isEmpty ? [] : [("nftables.rules", snapshot.tables)])
            + [("saved.json", JSONText.encode(snapshot.saved))]
    }

    private func trusted(_ path: String) throws(ChangeError) -> [UInt8] {
        do { return try SecureFiles.readTrusted(path) } catch { throw Self.damaged(path, error) }
    }

    private static func damaged(_ path: String, _ error: HostError) -> ChangeError {
        switch error {
        case .file(_, _, ENOENT): .damaged(path: path, reason: "it is missing")
        case .insecure(_, let reason): .damaged(path: path, reason: reason)
        default: .damaged(path: path, reason: "\(error)")
        }
    }

    /// The sum of meta.json without its own sum.
    private func sum(of meta: Snapshot.Meta) -> String {
        var bare = meta
        bare.sha256[Self.metaName] = nil
        return SHA256.hexadecimal(of: Array(JSONText.encode(bare).utf8))
    }
}
