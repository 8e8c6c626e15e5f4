import Host
import Netfilter

/// Why a change did not begin, or failed.
package enum ChangeError: Error, Equatable, Sendable {
    /// Another change is pending or, without an ID, about to begin; nothing was done.
    case pending(id: String?, secondsLeft: Int?)
    /// Nothing is pending; the last change since boot has this ID, if there was one.
    case nothingPending(last: String?, reason: String)
    /// The confirmation does not come from a new SSH login.
    case notFresh(id: String, reason: String)
    /// The rules to apply are not valid.
    case badRules(RuleSetError)
    /// The tool or the kernel does not accept the rules; the line is the one that the tool names.
    case rulesRefused(source: String, line: Int?, message: String)
    /// iptables cannot print active rules, so that their meaning is unknown; no table means all tables.
    case unreadable(family: Family, tables: [String], reason: String)
    /// A rule that the change would have to rewrite cannot be printed or loaded correctly.
    case untruthful(family: Family, rule: String, reason: String)
    /// A snapshot or journal is not what was written.
    case damaged(path: String, reason: String)
    /// There is no such snapshot.
    case noSnapshot(id: String)
    /// The guard could not be started; nothing was applied.
    case noGuard(reason: String)
    /// The guard did not report the outcome in time; the state is the last recorded one.
    case undecided(id: String, state: JournalState?)
    /// The guard could not begin the change; nothing was applied.
    case refusedByGuard(GuardFailure)
    /// Nothing was applied, or the rules that were applied were rolled back.
    case refused(reason: String)
    /// A tool, file or system call failed.
    case host(HostError)

    /// Runs code that throws `HostError` where `ChangeError` is thrown.
    static func wrap<Value>(_ body: () throws(HostError) -> Value) throws(ChangeError) -> Value {
        do { return try body() } catch { throw .host(error) }
    }

    /// Runs asynchronous code that throws `HostError` where `ChangeError` is thrown.
    static func wrap<Value>(_ body: () async throws(HostError) -> Value) async throws(ChangeError) -> Value {
        do { return try await body() } catch { throw .host(error) }
    }
}

extension ChangeError {
    /// The ID of the change that is in the way, or that the request was about.
    package var change: String? {
        switch self {
        case .pending(let id, _), .nothingPending(let id, _): id
        case .notFresh(let id, _), .undecided(let id, _): id
        case .refusedByGuard(let failure): failure.change
        case .badRules, .rulesRefused, .unreadable, .untruthful, .damaged, .noSnapshot, .noGuard, .refused, .host: nil
        }
    }
}

extension ChangeError: CustomStringConvertible {
    /// What failed, for people.
    package var description: String {
        switch self {
        case .pending(let id, let secondsLeft):
            (id.map { "Another change (\($0)) is pending" } ?? "Another change is about to begin")
                + (secondsLeft.map { ", \($0) s left" } ?? "")
                + ". Confirm or revert it first: latchkey confirm, latchkey revert."
        case .nothingPending(_, let reason): reason
        case .notFresh(_, let reason): reason
        case .badRules(let error): "\(error)"
        case .rulesRefused(let source, let line, let message):
            source + (line.map { ":\($0)" } ?? "") + ": these rules are not accepted: \(message)"
        case .unreadable(let family, let tables, let reason):
            (tables.isEmpty
                ? "The \(family.title) rules" : "The table \(tables.joined(separator: ", ")) (\(family.title))")
                + " cannot be read: \(reason) latchkey cannot check or restore them. To see them, run: "
                + "nft list ruleset"
        case .untruthful(let family, let rule, let reason):
            "This change would have to rewrite a rule that iptables cannot print correctly (\(family.title)): "
                + "\(rule.quoted(limit: 120)). \(reason) Remove the rule or write it with iptables, and try again."
        case .damaged(let path, let reason): "\(path) is damaged: \(reason)."
        case .noSnapshot(let id): "There is no snapshot \"\(id)\". \"latchkey snapshots list\" lists all snapshots."
        case .noGuard(let reason): "The guard did not start: \(reason)"
        case .undecided(let id, let state):
            "The outcome of the change \(id) is not known yet: \(Self.words(state))."
        case .refusedByGuard(let failure): failure.text
        case .refused(let reason): reason
        case .host(let error): "\(error)"
        }
    }

    private static func words(_ state: JournalState?) -> String {
        switch state {
        case nil: "its record is missing"
        case .prepared: "it has not begun"
        case .armed: "the new rules are being activated"
        case .applied: "the new rules are active and wait for confirmation"
        case .kept: "it is confirmed, and the rules are being made permanent"
        case .persisted: "it is kept"
        case .reverting: "the rollback to the previous rules is running and not verified yet"
        case .reverted: "it is rolled back"
        case .failed: "it failed"
        }
    }
}
