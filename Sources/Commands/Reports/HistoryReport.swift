import Host
import SafeApply

/// One change as `status --history` tells it.
package struct HistoryReport: Report, Equatable {
    /// The change, and its snapshot.
    package var change: String
    /// When it began, for example `2026-11-22T15:42:10Z`.
    package var began: String
    /// When it ended.
    @OrNull package var ended: String?
    /// Who asked for it.
    package var user: String
    /// The address of their SSH connection.
    @OrNull package var address: String?
    /// Where the rules came from: `answers`, `files` or `snapshot`.
    package var origin: String
    /// The snapshot that it went back to.
    @OrNull package var restores: String?
    /// How far it reached: `inputChain` or `tables`.
    package var scope: String
    /// Which iptables.
    package var backend: String
    /// Seconds it had to be confirmed.
    package var deadline: Int
    /// How it ended.
    package var outcome: ChangeOutcome
    /// Why.
    package var reason: String
    /// Whether what is said to be in force was compared with a fresh dump.
    package var verified: Bool
}

extension HistoryReport {
    /// A change of the history.
    ///
    /// - Parameters:
    ///   - entry: its lines.
    ///   - status: the pending change, or the last one since the start, which knows its own end best.
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

    /// The report for people: a line, and why below it.
    var text: String {
        let who = address.map { "\(user) from \($0)" } ?? "\(user), local"
        let what = restores.map { " (back to \($0))" } ?? (origin == "files" ? " (rules by hand)" : "")
        let first = "\(SnapshotReport.minutes(began))  \(change)  \(outcome.rawValue), \(who)\(what)"
        let lines = [first] + (reason.isEmpty ? [] : Wrapping.lines(reason, first: "    ", rest: "    "))
        return lines.joined(separator: "\n") + "\n"
    }
}

extension ChangeRunner {
    /// Every change, the oldest first.
    ///
    /// - Throws: `damaged`, `host`.
    func history() async throws(ChangeError) -> [HistoryReport] {
        let status = try await client.current()
        return try History(environment).entries().map { HistoryReport($0, status: status) }
    }
}
