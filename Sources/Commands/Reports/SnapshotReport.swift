import Host
import SafeApply

/// What `snapshots list` and `snapshots show` report with `--json`.
package struct SnapshotReport: Report, Equatable {
    /// Its name, which is also that of the change it was taken for.
    package var snapshot: String
    /// When it was taken, for example `2026-11-22T15:42:10Z`.
    @OrNull package var taken: String? = nil
    /// Who asked for the change.
    @OrNull package var user: String? = nil
    /// The address of their SSH connection.
    @OrNull package var address: String? = nil
    /// The iptables that printed it.
    @OrNull package var backend: String? = nil
    /// How the change ended: `kept`, `reverted`, `failed`, `pending` or `interrupted`; nil when nobody knows.
    @OrNull package var outcome: String? = nil
    /// The snapshot that the change went back to.
    @OrNull package var restores: String? = nil
    /// What is wrong with it; nil for a whole one.
    @OrNull package var damaged: String? = nil
    /// The rules, for `show`.
    package var rules: Rules?

    /// Rules as iptables-save printed them.
    package struct Rules: Codable, Equatable, Sendable {
        /// Those of IPv4.
        package var ipv4: String?
        /// Those of IPv6.
        package var ipv6: String?
        /// The sets they name, as ipset(8) prints them.
        package var sets: String
    }
}

extension SnapshotReport {
    /// The report of a snapshot and of the change it was taken for.
    init(_ meta: Snapshot.Meta, change: HistoryReport?) {
        self.init(
            snapshot: meta.id, taken: UTCTime(secondsSince1970: meta.date).iso8601 + "Z", user: meta.requester.user,
            address: meta.requester.address, backend: meta.backend.rawValue, outcome: change?.outcome.rawValue,
            restores: change?.restores)
    }

    /// The report of one that cannot be used.
    init(_ id: String, damaged reason: String) { self.init(snapshot: id, damaged: reason) }

    /// One row for people.
    var row: [String] {
        guard damaged == nil else { return [snapshot, "damaged", "", "", ""] }
        let change = restores.map { "back to \($0)" } ?? ""
        return [
            snapshot, Self.minutes(taken ?? ""), user ?? "", address ?? "local",
            [outcome ?? "", change].filter { !$0.isEmpty }.joined(separator: ", "),
        ]
    }

    /// `2026-11-22 15:42` of `2026-11-22T15:42:10Z`.
    static func minutes(_ time: String) -> String {
        String(time.prefix(16)).replacing("T", with: " ")
    }
}

/// What `snapshots diff` reports with `--json`.
package struct DifferenceReport: Report, Equatable {
    /// The snapshot compared.
    package var from: String
    /// What it is compared with: another snapshot, or `live`.
    package var to: String
    /// Whether both mean the same.
    package var same: Bool
    /// What turns the one into the other, for IPv4: lines that begin with `-` or `+`.
    package var ipv4: [String]
    /// The same for IPv6.
    package var ipv6: [String]
}

/// What `snapshots prune` reports with `--json`.
package struct PruneReport: Report, Equatable {
    /// The snapshots that went.
    package var removed: [String]
    /// The snapshots that are left.
    package var left: [String]
}
