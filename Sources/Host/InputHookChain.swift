import FoundationEssentials

/// A chain of nf_tables that the kernel asks about incoming packets.
package struct InputHookChain: Hashable, Sendable {
    /// `ip`, `ip6`, `inet`, `netdev` or `bridge`.
    package let family: String
    /// The table's name, without its family.
    package let table: String
    /// The chain's name.
    package let chain: String
    /// `ingress`, `prerouting` or `input`.
    package let hook: String
    /// The lower it is, the earlier the chain is asked.
    package let priority: Int
    /// `accept` or `drop`: what happens to a packet that no rule decides.
    package let policy: String

    /// The table with its family: `inet firewalld`.
    package var tableTitle: String { "\(family) \(table)" }

    /// Whether iptables-nft made it; iptables shows and changes it.
    package var isOfIPTables: Bool { ["ip", "ip6"].contains(family) && Self.ofIPTables.contains(table) }

    /// The names that iptables-nft takes for its own tables (xtables-nft(8)).
    package static let ofIPTables: Set<String> = ["filter", "nat", "mangle", "raw", "security"]
    /// Where a packet for this machine passes (nft(8), "Address families").
    private static let hooks = ["ingress", "prerouting", "input"]
    /// The programs that are known by how their tables' names begin.
    private static let owners: [(prefix: String, program: String)] = [
        ("latchkey", "latchkey"), ("firewalld", "firewalld"), ("docker", "Docker"), ("f2b-", "fail2ban"),
        ("crowdsec", "CrowdSec"), ("kube-", "Kubernetes"), ("netavark", "Podman"), ("libvirt", "libvirt"),
        ("fw4", "OpenWrt's firewall4"), ("foomuuri", "Foomuuri"), ("sshguard", "SSHGuard"), ("incus", "Incus"),
        ("lxc", "LXC"), ("lxd", "LXD"), ("wg-quick", "wg-quick"), ("mullvad", "Mullvad VPN"), ("ts-", "Tailscale"),
    ]

    /// The program that made the table, by the table's name; nil if it is not known.
    package var owner: String? {
        if isOfIPTables { return "iptables-nft" }
        return Self.owners.first { table.hasPrefix($0.prefix) }?.program
    }

    /// The chains in what `nft -j list chains` printed, in the order in which a packet passes them.
    static func read(_ json: [UInt8]) -> [InputHookChain] {
        guard let listing = try? JSONDecoder().decode(Listing.self, from: Data(json)) else { return [] }
        let chains = listing.nftables.compactMap(\.chain).compactMap { chain -> InputHookChain? in
            guard chain.type == "filter", let hook = chain.hook, hooks.contains(hook),
                ["ip", "ip6", "inet", "netdev", "bridge"].contains(chain.family)
            else { return nil }
            return InputHookChain(
                family: chain.family, table: chain.table, chain: chain.name ?? "", hook: hook,
                priority: chain.prio ?? 0, policy: chain.policy ?? "accept")
        }
        func place(_ chain: InputHookChain) -> (Int, Int) {
            (hooks.firstIndex(of: chain.hook) ?? 0, chain.priority)
        }
        return chains.sorted { place($0) < place($1) }
    }

    private struct Listing: Decodable {
        var nftables: [Item]

        struct Item: Decodable {
            var chain: Chain?
        }

        struct Chain: Decodable {
            var family: String
            var table: String
            var name: String?
            var type: String?
            var hook: String?
            var prio: Int?
            var policy: String?
        }
    }
}
