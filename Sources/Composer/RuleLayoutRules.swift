import Netfilter
import Policy

extension RuleLayout {
    /// Every rule that must come out, in order.
    var rules: [PlannedRule] {
        always
            + admins.map { admin in
                PlannedRule(.admins, RuleSource(admin).matches, comment: "admins \(admin)")
            }
            + ssh.map { PlannedRule(.ssh, $0.matches(family), comment: $0.comment) }
            + (services + multicast + protocols).map { item in
                PlannedRule(.services, item.matches(family), comment: item.comment)
            }
            + icmpv6 + ping + log + last
    }

    /// What belongs to every plan, first because nearly every packet is decided here.
    private var always: [PlannedRule] {
        [
            PlannedRule(
                .replies, [.conntrack([.related, .established])], comment: "replies to what this server began"),
            PlannedRule(.replies, [.inInterface("lo")], comment: "loopback"),
        ]
    }

    /// RFC 4890 section 4.4.1, and DHCPv6.
    private var icmpv6: [PlannedRule] {
        guard family == .ipv6 else { return [] }
        let neighbours: [PlannedRule] = (133...136).map { type in
            Self.icmpv6(type, hopLimit: 255, comment: "IPv6 neighbours and routers")
        }
        guard isOpen else { return neighbours }
        return neighbours
            + [1, 2, 3, 4].map { Self.icmpv6($0, comment: "IPv6 errors") }
            + [130, 131, 132, 143].map { Self.icmpv6($0, source: Self.linkLocal, comment: "IPv6 multicast listeners") }
            + [141, 142].map { Self.icmpv6($0, hopLimit: 255, comment: "IPv6 inverse neighbours") }
            + [148, 149].map { Self.icmpv6($0, hopLimit: 255, comment: "IPv6 secure neighbours") }
            + [151, 152, 153].map { type in
                Self.icmpv6(type, source: Self.linkLocal, hopLimit: 1, comment: "IPv6 multicast routers")
            }
            + [
                PlannedRule(
                    .icmpv6,
                    [
                        .source(Self.linkLocal), .destination(Self.linkLocal), .transport("udp"),
                        .ports(
                            .udp, source: Match.PortCondition(PortRange(547)),
                            destination: Match.PortCondition(PortRange(546))),
                    ], comment: "DHCPv6 replies")
            ]
    }

    private var ping: [PlannedRule] {
        guard let pingLimited else { return [] }
        let limit: [Match] = pingLimited ? [.limit(Match.Rate(5, per: .second), burst: 10)] : []
        return [PlannedRule(.ping, echoRequest + limit, comment: pingLimited ? "ping limited" : "ping everyone")]
    }

    private var log: [PlannedRule] {
        guard answers.log else { return [] }
        return [
            PlannedRule(
                .log, [.limit(Match.Rate(5, per: .minute), burst: 10)], comment: "log",
                target: .log(prefix: "latchkey drop: "))
        ]
    }

    /// The rule that drops what no other rule accepted, in the place of a policy.
    ///
    /// With `keep` the policy of INPUT stays what it was, so that a flush by another program opens the server instead
    /// of locking it.
    private var last: [PlannedRule] {
        guard answers.existing == .keep else { return [] }
        return [PlannedRule(.last, [], comment: "drop all else", target: .drop)]
    }

    /// The condition for a ping: ICMP type 8 (RFC 792), ICMPv6 type 128 (RFC 4443 section 4.1).
    var echoRequest: [Match] {
        family == .ipv4
            ? [.transport("icmp"), .icmp(type: 8)] : [.transport("ipv6-icmp"), .icmpv6(type: 128)]
    }

    /// fe80::/10 (RFC 4291 section 2.5.6).
    private static let linkLocal: CIDR = {
        guard let network = try? CIDR(parsing: "fe80::/10") else { preconditionFailure("fe80::/10 is a network") }
        return network
    }()

    private static func icmpv6(
        _ type: UInt8, source: CIDR? = nil, hopLimit: UInt8? = nil, comment: String
    ) -> PlannedRule {
        PlannedRule(
            .icmpv6,
            (source.map { [.source($0)] } ?? []) + [.transport("ipv6-icmp"), .icmpv6(type: type)]
                + (hopLimit.map { [.hopLimit($0)] } ?? []), comment: comment)
    }
}

extension RuleLayout {
    /// The tables without rules: chains and policies.
    ///
    /// With `replace` the policy of INPUT drops, and an empty nat table goes along, which flushes what was in it.
    func tables(rules: [Rule]) -> [Table] {
        guard answers.existing == .replace else {
            return [Table("filter", chains: [Chain("INPUT", policy: .accept)], rules: rules)]
        }
        let chains = [
            Chain("INPUT", policy: .drop), Chain("FORWARD", policy: .accept), Chain("OUTPUT", policy: .accept),
        ]
        let nat = ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"].map { Chain($0, policy: .accept) }
        return [Table("filter", chains: chains, rules: rules), Table("nat", chains: nat)]
    }
}
