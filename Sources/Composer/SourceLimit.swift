import Netfilter
import Policy

/// A limit of new connections per source address, as rules write it.
///
/// The kernel counts by name: all rules of one answer with the same limit share their counts.
struct SourceLimit: Hashable, Comparable {
    /// The limit.
    let limit: RateLimit
    /// The answer that it belongs to: `ssh`, `web`, `8080-tcp`.
    let answer: String

    /// How many addresses the kernel counts at most; each takes about 100 bytes.
    static let addresses = 262_144

    /// The limit of a permission; nil if it has none.
    init?(_ permission: Permission) {
        guard let limit = permission.limit else { return nil }
        self.limit = limit
        answer =
            switch permission.answer {
            case .admins, .ping, .block: ""
            case .ssh: "ssh"
            case .service(let name): name
            case .ports: permission.opening.portSpec.map { "\($0.range)-\($0.transport.rawValue)" } ?? ""
            }
    }

    static func < (left: SourceLimit, right: SourceLimit) -> Bool { left.name < right.name }

    /// Different limits count separately, because the first rule that uses a name decides for all.
    private var name: String { "\(answer)-\(limit.count)-\(limit.seconds)" }

    /// The condition for iptables (iptables-extensions(8), hashlimit).
    ///
    /// An address is forgotten only when it could make all its connections again. Not a whole number of seconds:
    /// iptables-save does not print the time where it is the unit of the rate.
    func match(_ family: Family) -> String {
        let number = family == .ipv4 ? 4 : 6
        return "-m hashlimit --hashlimit-upto \(limit.rate.count)/\(limit.rate.unit.rawValue) "
            + "--hashlimit-burst \(limit.count) --hashlimit-mode srcip --hashlimit-name latchkey\(number)-\(name) "
            + "--hashlimit-htable-max \(Self.addresses) --hashlimit-htable-expire \(limit.seconds * 1_000 + 500)"
            + (family == .ipv6 ? " --hashlimit-srcmask \(RateLimit.prefixLengthIPv6)" : "")
    }

    /// The name of the set that counts for nftables.
    func setName(_ family: Family) -> String { "limit-\(name)-\(family == .ipv4 ? "ipv4" : "ipv6")" }

    /// What nft(8) counts by.
    static func key(_ family: Family) -> String {
        family == .ipv4 ? "ip saddr" : "ip6 saddr & ffff:ffff:ffff:ffff::"
    }

    /// The rate as nft(8) lists it: without its own default, a burst of 5 packets.
    var nftablesRate: String {
        "\(limit.rate.count)/\(limit.rate.unit.nftablesText)"
            + (limit.count == 5 ? "" : " burst \(limit.count) packets")
    }

    /// The set that counts, as a part of a table.
    func set(_ family: Family) -> NFTable.Part {
        NFTable.Part(
            "set", setName(family),
            lines: [
                "type \(family == .ipv4 ? "ipv4_addr" : "ipv6_addr")", "size \(Self.addresses)",
                "flags dynamic,timeout", "timeout \(Self.time(limit.seconds))",
            ])
    }

    /// A time as nft lists it: `1m30s`.
    private static func time(_ seconds: Int) -> String {
        let parts = [
            (seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"),
        ]
        return parts.filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined()
    }
}

extension Match.Rate.Unit {
    /// The unit as nft(8) writes it.
    fileprivate var nftablesText: String {
        switch self {
        case .second: "second"
        case .minute: "minute"
        case .hour: "hour"
        case .day: "day"
        }
    }
}
