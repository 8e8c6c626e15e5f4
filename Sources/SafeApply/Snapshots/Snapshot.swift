import Host
import Netfilter

/// The files for boot at the time of a snapshot: a kept restore writes them back, so that the machine loads the same
/// rules at boot as then.
package struct SavedState: Codable, Sendable, Equatable {
    /// The files that a kept change writes.
    package var files: [StateFile]
    /// The record of the last kept change; nil if there was none.
    package var kept: KeptRules?
}

/// All tables of both families at one time, the sets they refer to, and the files that were saved for boot.
package struct Snapshot: Sendable, Equatable {
    /// The content of `meta.json`.
    package struct Meta: Codable, Sendable, Equatable {
        /// The ID of the change that it was taken for.
        package var id: String
        /// Seconds since 1970, UTC.
        package var date: Int64
        /// The boot it was taken in.
        package var bootID: String
        /// Which backend printed it.
        package var backend: Backend
        /// That tool's version text.
        package var version: String
        /// Who requested the change.
        package var requester: Requester
        /// The SHA-256 sum of each file in hexadecimal; for `meta.json`, the sum of its text without that sum.
        package var sha256: [String: String]
    }

    /// The content of `meta.json`.
    package var meta: Meta
    /// iptables-save's output, with counters; nil for a family that the kernel lacks, and for nftables.
    package var rules: PerFamily<String>
    /// The same of the backend that a change goes to, if it goes from one iptables backend to the other.
    package var newBackendRules = PerFamily<String>()
    /// ipset's output; "" without sets.
    package var sets: String
    /// nft's listing of the tables of the change, a missing one as an empty table; "" for iptables.
    package var tables: String
    /// The files that were saved for boot.
    package var saved: SavedState

    /// The parsed tables of nftables that existed.
    ///
    /// - Throws: `damaged` if they are not in the form of nft's listings.
    package func nftTables() throws(ChangeError) -> [NFTable] {
        do { return try NFTable.tables(in: tables).filter { !$0.parts.isEmpty }.map(\.withElementsInLines) } catch {
            throw .damaged(path: "snapshot \(meta.id), nftables.rules", reason: "\(error)")
        }
    }

    /// The parsed rules of a family.
    ///
    /// - Throws: `damaged` if they are not in iptables-save format.
    package func ruleSet(_ family: Family) throws(ChangeError) -> RuleSet? {
        guard let text = rules[family] else { return nil }
        let name = "snapshot \(meta.id), \(family.rawValue).rules"
        do { return try RuleSet(dumped: text, file: name) } catch {
            throw .damaged(path: name, reason: "\(error)")
        }
    }
}

extension NFTable {
    /// The names of the tables in a text of a snapshot, each once, those without content too.
    ///
    /// - Throws: `damaged` if it is not in the form of nft's listings.
    package static func names(in text: String) throws(ChangeError) -> [Name] {
        do { return Set(try tables(in: text).map(\.id)).sorted() } catch {
            throw .damaged(path: "nftables.rules", reason: "\(error)")
        }
    }
}
