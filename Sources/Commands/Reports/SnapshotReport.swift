import Host
import SafeApply

/// What `snapshots list` and `snapshots show` report with `--json`.
package struct SnapshotReport: Report, Equatable {
    /// Its ID, which is also the ID of its change.
    package var snapshot: String
    /// When it was taken, for example `2026-11-22T15:42:10Z`.
    @OrNull package var taken: String? = nil
    /// The user who requested the change.
    @OrNull package var user: String? = nil
    /// The address of their SSH connection.
    @OrNull package var address: String? = nil
    /// The backend that printed it.
    @OrNull package var backend: String? = nil
    /// The outcome of the change: `kept`, `reverted`, `failed`, `pending` or `interrupted`; nil if it is unknown.
    @OrNull package var outcome: String? = nil
    /// The snapshot that the change restored.
    @OrNull package var restores: String? = nil
    /// What is wrong with it; nil if it is intact.
    @OrNull package var damaged: String? = nil
    /// The rules, for `show`.
    package var rules: Rules?

    /// Rules as iptables-save printed them.
    package struct Rules: Codable, Equatable, Sendable {
        /// The IPv4 rules.
        package var ipv4: String?
        /// The IPv6 rules.
        package var ipv6: String?
        /// The sets they refer to, as ipset(8) prints them.
        package var sets: String
        /// The tables of nftables, as nft(8) lists them; "" for iptables.
        package var nftables: String
    }
}

extension SnapshotReport {
    /// The report of a snapshot and its change.
    init(_ meta: Snapshot.Meta, change: HistoryReport?) {
        self.init(
            snapshot: meta.id, taken: UTCTime(secondsSince1970: meta.date).iso8601 + "Z", user: meta.requester.user,
            address: meta.requester.address, backend: meta.backend.rawValue, outcome: change?.outcome.rawValue,
            restores: change?.restores)
    }

    /// The report of a damaged snapshot.
    init(_ id: String, damaged reason: String) { self.init(snapshot: id, damaged: reason) }

    /// The row in the table for people.
    var row: [String] {
        guard damaged == nil else { return [snapshot, "damaged", "", "", ""] }
        let change = restores.map { "restored \($0)" } ?? ""
        return [
            snapshot, Self.minutes(taken ?? ""), user ?? "", address ?? "local",
            [outcome ?? "", change].filter { !$0.isEmpty }.joined(separator: ", "),
        ]
    }

    /// Shortens `2026-11-22T15:42:10Z` to `2026-11-22 15:42`.
    static func minutes(_ time: String) -> String {
        String(time.prefix(16)).replacing("T", with: " ")
    }
}

/// What `snapshots diff` reports with `--json`.
package struct DifferenceReport: Report, Equatable {
    /// The snapshot.
    package var from: String
    /// What it is compared with: another snapshot, or `live`.
    package var to: String
    /// Whether they are equivalent.
    package var same: Bool
    /// The IPv4 differences: lines that begin with `-` or `+`.
    package var ipv4: [String]
    /// The same for IPv6.
    package var ipv6: [String]
    /// The same for the tables of nftables.
    package var nftables: [String]
}

/// What `snapshots prune` reports with `--json`.
package struct PruneReport: Report, Equatable {
    /// The deleted snapshots.
    package var removed: [String]
    /// The remaining snapshots.
    package var left: [String]
}
