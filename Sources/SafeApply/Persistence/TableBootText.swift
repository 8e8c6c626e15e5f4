import Host
import Netfilter

/// The texts from which tables of nftables are loaded at boot; paths are without the layout's root.
enum TableBootText {
    /// The file with all tables.
    static let rulesFile = "\(BootPath.restoreFolder)/nftables.rules"
    /// The file for a boot at which the first one cannot be loaded.
    static let fallbackFile = "\(BootPath.restoreFolder)/nftables-ssh.rules"

    /// The text that gives each table exactly this content, in one transaction, whatever it contained.
    static func rules(_ tables: [NFTable]) -> String {
        tables.map { "table \($0.id) {\n}\ndelete table \($0.id)\n\($0.text)" }.joined()
    }

    /// The text that makes the tables with the rules for replies, loopback, SSH and admins only; it fails, and changes
    /// nothing, where one of the tables exists.
    ///
    /// It has no named sets and no other chains, because one of them may be what the kernel refuses. SSH that only the
    /// addresses of a set may reach is open to everyone then, rather than to nobody.
    ///
    /// - Parameters:
    ///   - tables: the kept tables.
    ///   - sshPorts: the ports sshd listens on, for rules that were written by hand.
    /// - Returns: the text; nil if none of the tables filters incoming packets.
    static func fallback(_ tables: [NFTable], sshPorts: [UInt16]) -> String? {
        let texts = tables.compactMap { table -> String? in
            let chains = table.chains.filter { $0.isInput && ($0.policy == .drop || !$0.rules.isEmpty) }
            guard !chains.isEmpty else { return nil }
            let parts = chains.map { chain in
                let own = chain.rules.compactMap { rule -> String? in
                    guard !rule.contains("@") else { return nil }
                    // SSH from everyone shares a rule with the services.
                    if rule.contains(Self.shared) { return Self.accepting(sshPorts) }
                    return rule.isForSSH ? rule : nil
                }
                let isOpen = own.contains { $0.isSSH || $0 == Self.accepting(sshPorts) }
                let needsSSH = !isOpen && chain.rules.contains { $0.isLogin && $0.contains("@") }
                let more = [neighbours] + (needsSSH ? [Self.accepting(sshPorts)] : [])
                return chain.with(policy: .drop, rules: own.isEmpty ? handWritten(sshPorts) : own + more)
            }
            return "create table \(table.id)\n" + NFTable(table.id, parts: parts).text
        }
        return texts.isEmpty ? nil : texts.joined()
    }

    /// What every plan allows, and without which nothing arrives over IPv6 (RFC 4861).
    private static let neighbours = "icmpv6 type { 133, 134, 135, 136 } ip6 hoplimit 255 accept"

    /// The rules for a table that was written by hand: whom its own rules let in by SSH is not known here.
    private static func handWritten(_ sshPorts: [UInt16]) -> [String] {
        [
            "ct state established,related accept", "iif \"lo\" accept", neighbours,
            accepting(sshPorts),
        ]
    }

    private static func accepting(_ ports: [UInt16]) -> String {
        "tcp dport { \((ports.isEmpty ? [22] : ports).map(String.init).joined(separator: ", ")) } accept"
    }

    /// The beginning of the comment of a rule for SSH and services.
    private static let shared = "comment \"\(Rule.ownershipPrefix)ssh; "
}

extension String {
    private func isFor(_ kinds: [String]) -> Bool {
        kinds.contains { contains("comment \"\(Rule.ownershipPrefix)\($0)") }
    }

    /// Whether a composed rule is for replies, loopback, neighbours, SSH or the admins, as its comment says.
    fileprivate var isForSSH: Bool { isFor(["replies", "loopback", "admins", "ssh", "IPv6 neighbours"]) }

    /// Whether a composed rule allows logins.
    fileprivate var isLogin: Bool { isFor(["admins", "ssh"]) }

    /// Whether a composed rule is about SSH itself.
    fileprivate var isSSH: Bool { isFor(["ssh"]) }
}
