import Host
import Netfilter

/// The texts from which rules of iptables are loaded at a boot at which the kept ones cannot be; paths are without the
/// layout's root.
///
/// iptables-restore loads no rule of a table if one of them cannot be loaded, and then the table accepts everything.
struct RuleBootText {
    /// The kept rules of a family, as they are in the file for boot.
    let rules: RuleSet
    /// Their family.
    let family: Family
    /// The ports sshd listens on.
    let sshPorts: [UInt16]

    /// The file with the kept rules that name no sets.
    static func restFile(_ family: Family) -> String { "\(BootPath.restoreFolder)/\(family.rawValue)-rest.rules" }

    /// The file with the rules for replies, loopback, SSH and admins only.
    static func sshFile(_ family: Family) -> String { "\(BootPath.restoreFolder)/\(family.rawValue)-ssh.rules" }

    /// The kept rules without those that name sets, for a boot without the sets; nil if that is what was kept, or would
    /// allow more: a rule that blocks the addresses of a set is missing too.
    var rest: RuleSet? {
        let removed = rules.tables.flatMap(\.rules).filter { !NamedSets.names(of: $0).isEmpty }
        guard !removed.isEmpty, removed.allSatisfy({ $0.target == .accept }) else { return nil }
        let rest = rules.mapTables { table in
            Table(table.name, chains: table.chains, rules: table.rules.filter { NamedSets.names(of: $0).isEmpty })
        }
        let input = InputChain(of: rules).rules
        guard let filter = rest["filter"], needsSSH(besides: filter.rules(in: "INPUT")) else { return rest }
        // In place of the rule with the set, so that what is blocked ahead of it stays blocked.
        let place = input.prefix { NamedSets.names(of: $0).isEmpty }.count
        let left = filter.rules(in: "INPUT")
        let rules =
            left.prefix(place < input.count ? place : 0) + sshRules + left.dropFirst(place < input.count ? place : 0)
            + filter.rules.filter { $0.chain != "INPUT" }
        let opened = Table(filter.name, chains: filter.chains, rules: Array(rules))
        return RuleSet(tables: rest.tables.map { $0.name == filter.name ? opened : $0 })
    }

    /// INPUT with the rules for replies, loopback, neighbours, SSH and admins only, without sets; nil if the kept rules do
    /// not filter incoming packets.
    var ssh: RuleSet? {
        let input = InputChain(of: rules)
        guard input.policy == .drop || !input.rules.isEmpty else { return nil }
        let own = input.rules.filter { $0.isForSSH && NamedSets.names(of: $0).isEmpty }
        let base = own.isEmpty ? Self.read(["-m conntrack --ctstate RELATED,ESTABLISHED", "-i lo"]) : own
        let more = needsSSH(besides: own) ? sshRules : []
        let last = Self.read([""], target: "DROP")
        return RuleSet(
            tables: [SavedRules.inputAlone(InputChain(policy: input.policy, rules: base + neighbours + more + last))])
    }

    /// Whether SSH has to be allowed from everyone: the kept rules allow it by a set, or it is not known which of them do.
    private func needsSSH(besides left: [Rule]) -> Bool {
        let kept = InputChain(of: rules).rules
        guard kept.contains(where: \.isOwned) else { return true }
        return kept.filter(\.isLogin).contains { !NamedSets.names(of: $0).isEmpty } && !left.contains(where: \.isSSH)
    }

    private var sshRules: [Rule] {
        let ports = sshPorts.isEmpty ? [22] : sshPorts
        return Self.read(ports.map { "-p tcp -m tcp --dport \($0)" })
    }

    /// Without these nothing arrives over IPv6 (RFC 4861).
    private var neighbours: [Rule] {
        guard family == .ipv6 else { return [] }
        return Self.read((133...136).map { "-p ipv6-icmp -m icmp6 --icmpv6-type \($0) -m hl --hl-eq 255" })
    }

    private static func read(_ matches: [String], target: String = "ACCEPT") -> [Rule] {
        let lines = matches.map { "-A INPUT \($0.isEmpty ? "" : $0 + " ")-j \(target)\n" }.joined()
        let text = "*filter\n:INPUT ACCEPT [0:0]\n\(lines)COMMIT\n"
        return (try? RuleSet(dumped: text, file: "rules for SSH"))?["filter"]?.rules ?? []
    }
}

extension Rule {
    private func isFor(_ kinds: [String]) -> Bool {
        kinds.contains { comment?.hasPrefix(Rule.ownershipPrefix + $0) ?? false }
    }

    /// Whether a composed rule allows logins.
    fileprivate var isLogin: Bool { isFor(["admins", "ssh"]) }

    /// Whether a composed rule is about SSH itself.
    fileprivate var isSSH: Bool { isFor(["ssh"]) }

    /// Whether a composed rule is for replies, loopback, SSH or the admins, as its comment says.
    fileprivate var isForSSH: Bool { isFor(["replies", "loopback", "admins", "ssh"]) }
}
