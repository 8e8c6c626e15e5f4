import Host
import Logging

/// One line of the history: a change began, or ended.
package struct HistoryLine: Codable, Sendable, Equatable {
    /// What happened.
    package enum Event: String, Codable, Sendable, CaseIterable {
        /// A guard took the change on.
        case began
        /// It was kept, reverted, or failed.
        case ended
    }

    /// The change, and its snapshot.
    package var change: String
    /// What happened.
    package var event: Event
    /// When, for example `2026-11-22T15:42:10Z`.
    package var time: String
    /// The boot it happened in.
    package var bootID: String
    /// Who asked for it, and from where.
    package var requester: Requester
    /// Where the rules came from.
    package var origin: ChangeOrigin
    /// The snapshot it went back to.
    package var restores: String?
    /// How far it reached.
    package var scope: ChangeScope
    /// Which iptables.
    package var backend: Backend
    /// Seconds it had to be confirmed.
    package var deadlineSeconds: Int
    /// How it ended: `persisted`, `reverted` or `failed`; nil when it began.
    package var state: JournalState?
    /// Why it ended so, for people.
    package var reason: String
    /// Whether what is said to be in force was compared with a fresh dump.
    package var verified: Bool
}

/// Where the rules of a change came from.
package enum ChangeOrigin: String, Codable, Sendable, CaseIterable {
    /// Composed from answers.
    case answers
    /// Written by hand.
    case files
    /// Taken from a snapshot.
    case snapshot
}

/// A change as the history tells it: its beginning and its end.
package struct HistoryEntry: Sendable, Equatable {
    /// The line of its beginning, or of its end when that alone is left.
    package var began: HistoryLine
    /// The line of its end; nil while it is pending, and for ever when the machine stopped in the middle of it.
    package var ended: HistoryLine?
}

/// Who changed what, from where, when, and how it ended: a line of JSON each, appended and never rewritten.
///
/// The guard writes it, and the same words to the system's log. A history that cannot be written holds no change up:
/// the log says so.
package struct History: Sendable {
    private let environment: ChangeEnvironment
    private var path: String { environment.layout.history }

    /// The history of a machine.
    package init(_ environment: ChangeEnvironment) { self.environment = environment }

    // MARK: - Writing

    /// Records that a change begins.
    func began(_ journal: Journal) {
        let request = journal.request
        let who = request.requester.address.map { "\(request.requester.user) from \($0)" } ?? request.requester.user
        environment.log.notice(
            """
            Change \(request.id) begins: \(who), \(Self.words(request)), scope \(request.scope.rawValue), \
            iptables-\(request.backend.rawValue), deadline \(request.deadlineSeconds) s.
            """)
        append(line(journal, .began))
    }

    /// Records that the new rules wait to be confirmed; in the log only.
    func inForce(_ journal: Journal) {
        environment.log.notice(
            "Change \(journal.request.id) is in force and is reverted in \(journal.request.deadlineSeconds) s.")
    }

    /// Records how a change ended.
    func ended(_ journal: Journal) {
        let text = "Change \(journal.request.id)"
        switch journal.state {
        case .kept, .persisted:
            environment.log.notice(
                "\(text) is kept: \(([journal.reason] + (journal.notes ?? [])).joined(separator: " "))")
        case .failed: environment.log.critical("\(text) failed: \(journal.reason)")
        default: environment.log.notice("\(text) is reverted: \(journal.reason)")
        }
        append(line(journal, .ended))
    }

    private func line(_ journal: Journal, _ event: HistoryLine.Event) -> HistoryLine {
        let request = journal.request
        return HistoryLine(
            change: request.id, event: event,
            time: UTCTime(secondsSince1970: environment.clock.date()).iso8601 + "Z", bootID: environment.bootID,
            requester: request.requester, origin: request.origin, restores: request.restores?.snapshot,
            scope: request.scope, backend: request.backend,
            deadlineSeconds: request.deadlineSeconds, state: event == .ended ? journal.state : nil,
            reason: journal.reason, verified: journal.verified)
    }

    private func append(_ line: HistoryLine) {
        do {
            try SecureFiles.makeFolder(environment.layout.state)
            try SecureFiles.appendLine(JSONText.encode(line), to: path)
        } catch {
            environment.log.error("The history cannot be written: \(error)")
        }
    }

    private static func words(_ request: ChangeRequest) -> String {
        switch request.origin {
        case .answers: "from answers"
        case .files: "from rules written by hand"
        case .snapshot: "back to snapshot \(request.restores?.snapshot ?? "")"
        }
    }

    // MARK: - Reading

    /// All changes, the oldest first.
    ///
    /// A line that cannot be read, such as the last one of a full disk, is passed over.
    ///
    /// - Throws: `host` when the file cannot be read or is not to be trusted.
    package func entries() throws(ChangeError) -> [HistoryEntry] {
        guard SecureFiles.exists(path) else { return [] }
        let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(path) }
        let lines = bytes.split(separator: 0x0A).compactMap { JSONText.decode(HistoryLine.self, from: Array($0)) }
        var entries: [HistoryEntry] = []
        for line in lines {
            // A name comes back only where a snapshot was taken away and the clock set back.
            let place = entries.lastIndex { $0.began.change == line.change && $0.ended == nil }
            switch (line.event, place) {
            case (.ended, let place?): entries[place].ended = line
            case (.ended, nil): entries.append(HistoryEntry(began: line, ended: line))
            case (.began, _): entries.append(HistoryEntry(began: line))
            }
        }
        return entries
    }
}

extension ChangeRequest {
    /// Where its rules came from.
    package var origin: ChangeOrigin {
        if restores != nil { return .snapshot }
        return sources.present.isEmpty ? .answers : .files
    }
}
