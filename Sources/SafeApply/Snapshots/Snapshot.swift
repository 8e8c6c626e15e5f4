import Host
import Netfilter

/// What outlived a reboot at the moment of a snapshot: a kept restore puts it back, so that the next start loads what
/// it would have loaded then.
package struct SavedState: Codable, Sendable, Equatable {
    /// The files that a kept change writes.
    package var files: [StateFile]
    /// The record of the change that was last kept; nil when there was none.
    package var kept: KeptRules?
}

/// The rules of one moment, all tables of both families, the sets they refer to, and what was saved for the next start.
package struct Snapshot: Sendable, Equatable {
    /// What stands in `meta.json`.
    package struct Meta: Codable, Sendable, Equatable {
        /// The change the snapshot was taken for.
        package var id: String
        /// Seconds since 1970, UTC.
        package var date: Int64
        /// The boot it was taken in.
        package var bootID: String
        /// Which iptables printed it.
        package var backend: Backend
        /// That tool's version text.
        package var version: String
        /// Who asked for the change.
        package var requester: Requester
        /// SHA-256 of each file, in hexadecimal; of this one as it is without its own sum.
        package var sha256: [String: String]
    }

    /// Who, when, with what.
    package var meta: Meta
    /// iptables-save's text, with counters; nil for a family that the kernel lacks.
    package var rules: PerFamily<String>
    /// ipset's text; "" without sets.
    package var sets: String
    /// What was saved for the next start.
    package var saved: SavedState

    /// The rules of a family, read.
    ///
    /// - Throws: `damaged` when they are not in iptables-save's format.
    package func ruleSet(_ family: Family) throws(ChangeError) -> RuleSet? {
        guard let text = rules[family] else { return nil }
        let name = "snapshot \(meta.id), \(family.rawValue).rules"
        do { return try RuleSet(dumped: text, file: name) } catch {
            throw .damaged(path: name, reason: "\(error)")
        }
    }
}
