import Host
import SafeApply

/// One change in `status --history`.
package struct HistoryReport: Report, Equatable {
    /// The change, and its snapshot.
    package var change: String
    /// When it began, for example `2026-11-22T15:42:10Z`.
    package var began: String
    /// When it ended.
    @OrNull package var ended: String?
    /// The user who requested it.
    package var user: String
    /// The address of their SSH connection.
    @OrNull package var address: String?
    /// Where the rules came from: `answers`, `files`, `snapshot`, or `off` if they were removed.
    package var origin: String
    /// The snapshot that it restored.
    @OrNull package var restores: String?
    /// Its scope: `inputChain`, `tables` or `removal`.
    package var scope: String
    /// Which iptables.
    package var backend: String
    /// Seconds until its deadline.
    package var deadline: Int
    /// Its outcome.
    package var outcome: ChangeOutcome
    /// The reason for the outcome.
    package var reason: String
    /// Whether a fresh dump was compared with the rules that should be active.
    package var verified: Bool
}

extension HistoryReport {
    /// The report of an entry of the history.
    ///
    /// - Parameters:
    ///   - entry: the entry.
    ///   - status: the pending change or the last one since boot, whose journal is more recent than the history.
    init(_ entry: HistoryEntry, status: ChangeStatus?) {
        let line = entry.ended ?? entry.began
        let current = status.flatMap { entry.ended == nil && $0.id == line.change ? $0 : nil }
        let outcome = (current?.state ?? line.state).map(ChangeOutcome.init) ?? .interrupted
        self.init(
            change: line.change, began: entry.began.time, ended: entry.ended?.time, user: line.requester.user,
            address: line.requester.address, origin: line.origin.rawValue, restores: line.restores,
            scope: line.scope.rawValue, backend: line.backend.rawValue, deadline: line.deadlineSeconds,
            outcome: outcome, reason: current?.reason ?? line.reason, verified: current?.verified ?? line.verified)
    }

    /// The report for people: one line, and the reason below it.
    var text: String {
        let who = address.map { "\(user) from \($0)" } ?? "\(user), local"
        let notes = ["files": " (hand-written rules)", "off": " (off)"]
        let what = restores.map { " (restored \($0))" } ?? notes[origin] ?? ""
        let first = "\(SnapshotReport.minutes(began))  \(change)  \(outcome.rawValue), \(who)\(what)"
        let lines = [first] + (reason.isEmpty ? [] : Wrapping.lines(reason, first: "    ", rest: "    "))
        return lines.joined(separator: "\n") + "\n"
    }
}

extension ChangeRunner {
    /// All changes, oldest first.
    ///
    /// - Throws: `damaged`, `host`.
    func history() async throws(ChangeError) -> [HistoryReport] {
        let status = try await client.current()
        return try History(environment).entries().map { HistoryReport($0, status: status) }
    }
}
