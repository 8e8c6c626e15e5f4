import Host
import Netfilter
import Policy
import SafeApply

/// The actions of the `snapshots` commands.
struct SnapshotActions: Sendable {
    let changeRunner: ChangeRunner
    private let store: SnapshotStore

    /// The snapshots of this machine.
    init(in context: CommandContext) {
        changeRunner = ChangeRunner(in: context)
        store = SnapshotStore(changeRunner.environment)
    }

    /// All snapshots, oldest first, with every file checked; damaged ones are marked.
    ///
    /// - Throws: `Failure` if they cannot be read or checked.
    func reports() async throws(Failure) -> [SnapshotReport] {
        let ids: [String]
        do { ids = try store.list() } catch { throw Failure(error) }
        let history = await history()
        var reports: [SnapshotReport] = []
        for id in ids {
            do throws(ChangeError) {
                let meta = try await store.read(id).meta
                reports.append(SnapshotReport(meta, change: history.last { $0.change == id }))
            } catch .damaged(let path, let reason) {
                let error = ChangeError.damaged(path: path, reason: reason)
                reports.append(SnapshotReport(id, damaged: error.description))
            } catch .noSnapshot {
                // Deleted in the meantime.
            } catch { throw Failure(error) }
        }
        return reports
    }

    /// The report of one snapshot, without its rules.
    func report(_ meta: Snapshot.Meta) async throws(Failure) -> SnapshotReport {
        SnapshotReport(meta, change: await history().last { $0.change == meta.id })
    }

    /// One snapshot, with every file checked.
    ///
    /// - Throws: `Failure` with status 65 that names the damaged file.
    func read(_ id: String) async throws(Failure) -> Snapshot {
        do { return try await store.read(id) } catch { throw Failure(error) }
    }

    /// The differences between a snapshot and another one, or the live rules.
    ///
    /// - Throws: `Failure` with status 65 for a damaged one.
    func difference(from id: String, to other: String?) async throws(Failure) -> DifferenceReport {
        let old = try await read(id)
        let new = try await other.asyncMap { id throws(Failure) in try await read(id) }
        var lines = PerFamily<[String]>()
        var tables: [String] = []
        do {
            let live = new == nil ? try await self.live(old.meta.backend) : PerFamily()
            for family in Family.allCases {
                // A family that the kernel lacked, or lacks, has no rules.
                let before = try old.ruleSet(family) ?? RuleSet()
                let after = try new?.ruleSet(family) ?? live[family] ?? RuleSet()
                lines[family] = RuleSet.differences(from: before, to: after)
            }
            tables = try await tableDifferences(from: old, to: new)
        } catch { throw Failure(error) }
        let (ipv4, ipv6) = (lines.ipv4 ?? [], lines.ipv6 ?? [])
        return DifferenceReport(
            from: id, to: other ?? "live", same: ipv4.isEmpty && ipv6.isEmpty && tables.isEmpty, ipv4: ipv4,
            ipv6: ipv6, nftables: tables)
    }

    /// The differences between the tables of nftables in a snapshot and those in another one, or the live ones.
    private func tableDifferences(
        from old: Snapshot, to new: Snapshot?
    ) async throws(ChangeError) -> [String] {
        guard !(old.tables + (new?.tables ?? "")).isEmpty else { return [] }
        let before = try old.nftTables()
        let names = try NFTable.names(in: old.tables + (new?.tables ?? ""))
        let environment = changeRunner.environment
        let after =
            if let new { try new.nftTables() } else {
                try await LiveTables(toolbox: environment.toolbox, runner: environment.runner).read(names)
                    .map(\.withoutTemporary)
            }
        return names.flatMap { name in
            NFTable.differences(from: before.first { $0.id == name }, to: after.first { $0.id == name })
        }
    }

    /// The change that restores a snapshot.
    ///
    /// - Throws: `Failure` with status 65 for a damaged one, 5 while a change is pending, 4 for one that blocks the
    ///   present SSH connection, 69 if its iptables is not installed.
    func restoration(
        of id: String, deadline: DeadlineOption, isRehearsed: Bool, templates: TemplateOptions,
        in context: CommandContext
    ) async throws(Failure) -> ChangeRequest {
        let snapshot = try await read(id)
        try await changeRunner.requireNothingPending()
        let backend = snapshot.meta.backend
        if let other = await otherBackend(than: backend) {
            context.console.say(
                Self.note(
                    "The snapshot contains rules of \(backend.title), but \(other). "
                        + "latchkey restores them with \(backend.title)."))
        }
        if let offer = changeRunner.offer(since: snapshot.saved.kept) { context.console.say(Self.note(offer)) }
        let rules: PerFamily<String>
        let restored: Restored
        let liveSets: String
        let sets = IPSets(toolbox: changeRunner.environment.toolbox, runner: changeRunner.environment.runner)
        do throws(HostError) { liveSets = try await sets?.dump() ?? "" } catch { throw Failure(error) }
        do {
            let live = try await live(backend)
            rules = try Restoration.rules(of: snapshot, live: live)
            restored = try Restored(snapshot, live: live, liveSets: liveSets)
        } catch { throw Failure(error) }
        let caller = Caller(context.facts)
        if isRehearsed {
            let rehearsalRunner = await RehearsalRunner(changeRunner, backend, caller: caller)
            try await rehearsalRunner.requireSSHAccess(
                try Self.parsed(rules), tables: Restoration.tables(of: snapshot), in: context)
        } else {
            context.console.say(RehearsalOptions.skipped)
        }
        let environment = changeRunner.environment
        let ports = await SSHServer(context.facts).ports(
            sshd: environment.toolbox.find("sshd"), runner: environment.runner
        ).ports
        var request = ChangeRequest(
            id: changeRunner.freshID(), scope: .tables, rules: rules, tables: Restoration.tables(of: snapshot),
            backend: backend,
            deadlineSeconds: deadline.seconds, requester: caller.requester, sshPorts: ports.isEmpty ? [22] : ports,
            admins: await admins(templates, in: context), answers: nil, persists: true,
            restores: restored)
        request.retirement = try await changeRunner.retirement(for: backend)
        return request
    }

    /// Deletes old snapshots.
    ///
    /// - Throws: `Failure` if it is unknown which ones are needed, or if one cannot be deleted.
    func prune(keeping count: Int) async throws(Failure) -> PruneReport {
        do {
            // A pending change needs its snapshot, and only a readable journal shows whether one is pending.
            _ = try await changeRunner.client.current()
            return PruneReport(removed: try store.prune(keeping: count), left: try store.list())
        } catch { throw Failure(error) }
    }

    // MARK: - Helpers

    /// Which other backend is used on this machine now, for a sentence; nil if it is the same.
    private func otherBackend(than backend: Backend) async -> String? {
        let environment = changeRunner.environment
        if let kept = try? Persistence(environment).lastKept()?.backend, kept != backend {
            return "latchkey's rules are now in \(kept.title)"
        }
        let system = try? await IPTables.backend(toolbox: environment.toolbox, runner: environment.runner)
        guard backend != .nftables, let system, system != backend else { return nil }
        return "\"iptables\" is now \(system.title)"
    }

    private func live(_ backend: Backend) async throws(ChangeError) -> PerFamily<RuleSet> {
        guard backend != .nftables else { return PerFamily() }
        let environment = changeRunner.environment
        return try await LiveRules(
            backend: backend, families: environment.families, toolbox: environment.toolbox,
            runner: environment.runner
        ).readAll()
    }

    /// The history of changes; empty if it cannot be read, which does not affect snapshots.
    private func history() async -> [HistoryReport] { (try? await changeRunner.history()) ?? [] }

    /// The admins of the last kept answers: the emergency opening allows them.
    func admins(_ templates: TemplateOptions, in context: CommandContext) async -> [String] {
        let path = context.layout.answers
        guard let file = try? NamedText(name: path, path: path, in: context),
            let planner = try? await Planner(templates, in: context), let answers = try? planner.answers(file)
        else { return [] }
        return Family.allCases.flatMap(answers.admins.sample).map(\.canonical)
    }

    private static func parsed(_ rules: PerFamily<String>) throws(Failure) -> PerFamily<RuleSet> {
        var sets = PerFamily<RuleSet>()
        do {
            for (family, text) in rules.present { sets[family] = try RuleSet(dumped: text, file: "the snapshot") }
        } catch { throw Failure(.badData, "\(error)", activeRules: Failure.nothingChanged) }
        return sets
    }

    private static func note(_ text: String) -> String { Wrapping.lines(text).joined(separator: "\n") + "\n" }
}

extension Optional where Wrapped: Sendable {
    /// Like `map`, with an asynchronous body.
    func asyncMap<Value, Failure: Error>(
        _ body: (Wrapped) async throws(Failure) -> Value
    ) async throws(Failure) -> Value? {
        guard let self else { return nil }
        return try await body(self)
    }
}

/// Rows in aligned columns, two spaces apart.
enum Columns {
    /// The text, without spaces at the ends of lines.
    static func text(_ rows: [[String]]) -> String {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            var line = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}

extension SnapshotReport {
    /// The report for people: a header in comment lines, and the rules.
    var text: String {
        let who = address.map { "\(user ?? "") from \($0)" } ?? "\(user ?? ""), local"
        var lines = ["# snapshot \(snapshot), taken \(taken ?? "") with \(backend.flatMap(Backend.init)?.title ?? "")"]
        lines.append("# before a change by \(who)" + (outcome.map { ": \($0)" } ?? ""))
        if let restores { lines.append("# that restored \(restores)") }
        let parts = [
            ("# IPv4", rules?.ipv4), ("# IPv6", rules?.ipv6), ("# ipset", rules?.sets), ("# nftables", rules?.nftables),
        ]
        for case (let title, let text?) in parts where !text.isEmpty { lines += [title, Self.withoutEnd(text)] }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func withoutEnd(_ text: String) -> String { text.hasSuffix("\n") ? String(text.dropLast()) : text }
}
