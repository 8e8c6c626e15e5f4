import Host
import Netfilter
import Policy
import SafeApply

/// What the snapshots commands do.
struct SnapshotActions: Sendable {
    let changeRunner: ChangeRunner
    private let store: SnapshotStore

    /// The snapshots of this machine.
    init(in context: CommandContext) {
        changeRunner = ChangeRunner(in: context)
        store = SnapshotStore(changeRunner.environment)
    }

    /// All of them, the oldest first, every file checked; damaged ones say so.
    ///
    /// - Throws: `Failure` when they cannot be read, or not be checked.
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
                // Pruned meanwhile.
            } catch { throw Failure(error) }
        }
        return reports
    }

    /// One of them, without its rules.
    func report(_ meta: Snapshot.Meta) async throws(Failure) -> SnapshotReport {
        SnapshotReport(meta, change: await history().last { $0.change == meta.id })
    }

    /// One of them, every file checked.
    ///
    /// - Throws: `Failure` with status 65 that names the damaged file.
    func read(_ id: String) async throws(Failure) -> Snapshot {
        do { return try await store.read(id) } catch { throw Failure(error) }
    }

    /// What turns a snapshot into another, or into the live rules.
    ///
    /// - Throws: `Failure` with status 65 for a damaged one.
    func difference(from id: String, to other: String?) async throws(Failure) -> DifferenceReport {
        let old = try await read(id)
        let new = try await other.asyncMap { id throws(Failure) in try await read(id) }
        var lines = PerFamily<[String]>()
        do {
            let live = new == nil ? try await self.live(old.meta.backend) : PerFamily()
            for family in Family.allCases {
                // A family that the kernel lacked, or lacks, has no rules.
                let before = try old.ruleSet(family) ?? RuleSet()
                let after = try new?.ruleSet(family) ?? live[family] ?? RuleSet()
                lines[family] = RuleSet.differences(from: before, to: after)
            }
        } catch { throw Failure(error) }
        let (ipv4, ipv6) = (lines.ipv4 ?? [], lines.ipv6 ?? [])
        return DifferenceReport(
            from: id, to: other ?? "live", same: ipv4.isEmpty && ipv6.isEmpty, ipv4: ipv4, ipv6: ipv6)
    }

    /// The change that goes back to a snapshot.
    ///
    /// - Throws: `Failure` with status 65 for a damaged one, 5 while a change is pending, 4 for one that shuts out the
    ///   present SSH connection, 69 where its iptables is not here.
    func restoration(
        of id: String, deadline: DeadlineOption, isRehearsed: Bool, templates: TemplateOptions,
        in context: CommandContext
    ) async throws(Failure) -> ChangeRequest {
        let snapshot = try await read(id)
        try await changeRunner.requireNothingPending()
        let backend = snapshot.meta.backend
        if let present = try? await changeRunner.backend(), present != backend {
            context.console.say(
                Self.note(
                    "The snapshot holds rules of iptables-\(backend.rawValue), and \"iptables\" means "
                        + "iptables-\(present.rawValue) here now. They are restored with their own tools."))
        }
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
            try await rehearsalRunner.requireOpenDoor(try Self.parsed(rules), in: context)
        } else {
            context.console.say(RehearsalOptions.skipped)
        }
        let environment = changeRunner.environment
        let ports = await SSHServer(context.facts).ports(
            sshd: environment.toolbox.find("sshd"), runner: environment.runner
        ).ports
        return ChangeRequest(
            id: changeRunner.freshID(), scope: .tables, rules: rules, backend: backend,
            deadlineSeconds: deadline.seconds, requester: caller.requester, sshPorts: ports.isEmpty ? [22] : ports,
            admins: await admins(templates, in: context), answers: nil, persists: true,
            restores: restored)
    }

    /// Removes old ones.
    ///
    /// - Throws: `Failure` when nobody can tell which are needed, or one cannot be removed.
    func prune(keeping count: Int) async throws(Failure) -> PruneReport {
        do {
            // What is pending needs its snapshot; that is told by a journal that can be read.
            _ = try await changeRunner.client.current()
            return PruneReport(removed: try store.prune(keeping: count), left: try store.list())
        } catch { throw Failure(error) }
    }

    // MARK: - Pieces

    private func live(_ backend: Backend) async throws(ChangeError) -> PerFamily<RuleSet> {
        let environment = changeRunner.environment
        return try await LiveRules(
            backend: backend, families: environment.families, toolbox: environment.toolbox,
            runner: environment.runner
        ).readAll()
    }

    /// What is known of the changes; a snapshot is as good without.
    private func history() async -> [HistoryReport] { (try? await changeRunner.history()) ?? [] }

    /// The admins of the answers kept last: they are let in if nothing else can be put back.
    private func admins(_ templates: TemplateOptions, in context: CommandContext) async -> [String] {
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
        } catch { throw Failure(.badData, "\(error)", inForce: Failure.nothingChanged) }
        return sets
    }

    private static func note(_ text: String) -> String { Wrapping.lines(text).joined(separator: "\n") + "\n" }
}

extension Optional where Wrapped: Sendable {
    /// Like `map`, with a body that may wait.
    fileprivate func asyncMap<Value, Trouble: Error>(
        _ body: (Wrapped) async throws(Trouble) -> Value
    ) async throws(Trouble) -> Value? {
        guard let self else { return nil }
        return try await body(self)
    }
}

/// Rows as columns, two blanks apart.
enum Columns {
    /// The text; the last column is not filled up.
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
    /// The report for people: what it is, and its rules; each line of the former begins like a comment of the latter.
    var text: String {
        let who = address.map { "\(user ?? "") from \($0)" } ?? "\(user ?? ""), local"
        var lines = ["# snapshot \(snapshot), taken \(taken ?? "") with iptables-\(backend ?? "")"]
        lines.append("# before a change by \(who)" + (outcome.map { ": \($0)" } ?? ""))
        if let restores { lines.append("# which went back to \(restores)") }
        let parts = [("# IPv4", rules?.ipv4), ("# IPv6", rules?.ipv6), ("# ipset", rules?.sets)]
        for case (let title, let text?) in parts where !text.isEmpty { lines += [title, Self.withoutEnd(text)] }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func withoutEnd(_ text: String) -> String { text.hasSuffix("\n") ? String(text.dropLast()) : text }
}
