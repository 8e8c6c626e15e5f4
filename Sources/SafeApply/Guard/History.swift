import Host
import Logging

/// One line of the history: a change began, or ended.
package struct HistoryLine: Codable, Sendable, Equatable {
    /// What happened.
    package enum Event: String, Codable, Sendable, CaseIterable {
        /// A guard began the change.
        case began
        /// It was kept or rolled back, or it failed.
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
    /// Who requested it, and from where.
    package var requester: Requester
    /// Where the rules came from.
    package var origin: ChangeOrigin
    /// The snapshot that it restored.
    package var restores: String?
    /// Its scope.
    package var scope: ChangeScope
    /// Which iptables.
    package var backend: Backend
    /// Seconds until its deadline.
    package var deadlineSeconds: Int
    /// Its outcome: `persisted`, `reverted` or `failed`; nil in a line about its beginning.
    package var state: JournalState?
    /// The reason for the outcome, for people.
    package var reason: String
    /// Whether a fresh dump was compared with the rules that should be active.
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
    /// None: latchkey's rules were removed.
    case off
}

/// A change in the history: its beginning and its end.
package struct HistoryEntry: Sendable, Equatable {
    /// The line about its beginning, or about its end if only that one is left.
    package var began: HistoryLine
    /// The line about its end; nil while it is pending, and forever if a reboot interrupted it.
    package var ended: HistoryLine?
}

/// The history of all changes: one line of JSON for each event, appended and never rewritten.
///
/// The guard writes it, and the same information to the system log. If the history cannot be written, the change
/// continues, and the log has an error.
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
            \(request.backend.title), deadline \(request.deadlineSeconds) s.
            """)
        append(line(journal, .began))
    }

    /// Records that the new rules are active and wait for confirmation; only in the log.
    func applied(_ journal: Journal) {
        environment.log.notice(
            "Change \(journal.request.id) is active. It rolls back in \(journal.request.deadlineSeconds) s unless kept."
        )
    }

    /// Records how a change ended.
    func ended(_ journal: Journal) {
        let text = "Change \(journal.request.id)"
        switch journal.state {
        case .kept, .persisted:
            environment.log.notice(
                "\(text) is kept: \(([journal.reason] + (journal.notes ?? [])).joined(separator: " "))")
        case .failed: environment.log.critical("\(text) failed: \(journal.reason)")
        default: environment.log.notice("\(text) is rolled back: \(journal.reason)")
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
        case .files: "from hand-written rules"
        case .snapshot: "from snapshot \(request.restores?.snapshot ?? "")"
        case .off: "latchkey off"
        }
    }

    // MARK: - Reading

    /// All changes, oldest first.
    ///
    /// A line that cannot be read, such as one that was cut off by a full disk, is skipped.
    ///
    /// - Throws: `host` if the file cannot be read or trusted.
    package func entries() throws(ChangeError) -> [HistoryEntry] {
        guard SecureFiles.exists(path) else { return [] }
        let bytes = try ChangeError.wrap { () throws(HostError) in try SecureFiles.readTrusted(path) }
        let lines = bytes.split(separator: 0x0A).compactMap { JSONText.decode(HistoryLine.self, from: Array($0)) }
        var entries: [HistoryEntry] = []
        for line in lines {
            // An ID is used again only if its snapshot was deleted and the clock was set back.
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
        if scope == .removal { return .off }
        if restores != nil { return .snapshot }
        return sources.present.isEmpty ? .answers : .files
    }
}
