import Host
import SafeApply

/// What `snapshots list` and `snapshots show` report with `--json`.
package struct SnapshotReport: Report, Equatable {
    /// Its name, which is also that of the change it was taken for.
    package var snapshot: String
    /// When it was taken, for example `2026-11-22T15:42:10Z`.
    package var taken: String?
    /// Who asked for the change.
    package var user: String?
    /// The address of their SSH connection.
    package var address: String?
    /// The iptables that printed it.
    package var backend: String?
    /// How the change ended: `kept`, `reverted`, `failed`, `pending` or `interrupted`; nil when nobody knows.
    package var outcome: String?
    /// The snapshot that the change went back to.
    package var restores: String?
    /// What is wrong with it; nil for a whole one.
    package var damaged: String?
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

    private enum CodingKeys: String, CodingKey {
        case snapshot, taken, user, address, backend, outcome, restores, damaged, rules
    }

    // Written by hand: what Swift derives leaves out a nil, and a reader wants to find the key with null.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(snapshot, forKey: .snapshot)
        try container.encode(taken, forKey: .taken)
        try container.encode(user, forKey: .user)
        try container.encode(address, forKey: .address)
        try container.encode(backend, forKey: .backend)
        try container.encode(outcome, forKey: .outcome)
        try container.encode(restores, forKey: .restores)
        try container.encode(damaged, forKey: .damaged)
        try container.encodeIfPresent(rules, forKey: .rules)
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
