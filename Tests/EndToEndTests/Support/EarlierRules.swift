import Foundation
import TestSupport

/// Rules that a machine had before latchkey was used: every table, sets, user chains, odd quoting.
enum EarlierRules {
    /// Creates the sets that `full` refers to.
    static func makeSets(on machine: Machine) async throws {
        let lines = """
            create banned hash:ip
            add banned 203.0.113.5
            create banned6 hash:ip family inet6
            add banned6 2001:db8:dead::5

            """
        try await machine.namespace.mustRun(["ipset", "restore"], input: Array(lines.utf8))
    }

    /// Everything, in all tables.
    static func full(_ family: IPFamily) -> String { other(family) + filter(family) }

    /// raw, mangle and nat, with what Docker and an administrator put there.
    static func other(_ family: IPFamily) -> String {
        let containers = family == .ipv4 ? "172.17.0.0/16" : "2001:db8:d0c::/64"
        let container = family == .ipv4 ? "172.17.0.2:80" : "[2001:db8:d0c::2]:80"
        return """
            *raw
            :PREROUTING ACCEPT [0:0]
            :OUTPUT ACCEPT [0:0]
            -A PREROUTING -i eth9 -p udp -m udp --dport 5353 -j CT --notrack
            COMMIT
            *mangle
            :PREROUTING ACCEPT [0:0]
            :INPUT ACCEPT [0:0]
            :FORWARD ACCEPT [0:0]
            :OUTPUT ACCEPT [0:0]
            :POSTROUTING ACCEPT [0:0]
            :marks - [0:0]
            -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
            -A OUTPUT -p udp -m udp --dport 5060 -j marks
            -A marks -j MARK --set-xmark 0x2a/0xff
            COMMIT
            *nat
            :PREROUTING ACCEPT [0:0]
            :INPUT ACCEPT [0:0]
            :OUTPUT ACCEPT [0:0]
            :POSTROUTING ACCEPT [0:0]
            :DOCKER - [0:0]
            -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
            -A POSTROUTING -s \(containers) ! -o docker0 -j MASQUERADE
            -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination \(container)
            COMMIT

            """
    }

    /// filter, with fail2ban's chain, Docker's, one of no known program, and a policy that drops.
    static func filter(_ family: IPFamily) -> String {
        let four = family == .ipv4
        let ping = four ? "-p icmp -m icmp --icmp-type 8" : "-p ipv6-icmp -m icmp6 --icmpv6-type 128"
        let unreachable = four ? "icmp-port-unreachable" : "icmp6-port-unreachable"
        return """
            *filter
            :INPUT DROP [0:0]
            :FORWARD DROP [0:0]
            :OUTPUT ACCEPT [0:0]
            :DOCKER-USER - [0:0]
            :f2b-sshd - [0:0]
            :odd-chain.1 - [0:0]
            -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
            -A INPUT -i lo -j ACCEPT
            -A INPUT -m set --match-set \(four ? "banned" : "banned6") src -j DROP
            -A INPUT ! -i eth9 -m comment --comment "odd \\"quotes\\", a \\\\ and 'single' ones; $HOME" -j odd-chain.1
            -A INPUT -p tcp -m tcp --dport 25 -m limit --limit 3/min -j LOG --log-prefix "in \\"25\\": "
            -A INPUT -p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset
            -A INPUT \(ping) -j ACCEPT
            -A FORWARD -j DOCKER-USER
            -A DOCKER-USER -j RETURN
            -A f2b-sshd -s \(four ? "198.51.100.99/32" : "2001:db8:bad::99/128") -j REJECT --reject-with \(unreachable)
            -A f2b-sshd -j RETURN
            -A odd-chain.1 -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP
            COMMIT

            """
    }

    /// The same without the rule that needs a set, for machines without sets.
    static func filterWithoutSets(_ family: IPFamily) -> String {
        let lines = filter(family).split(separator: "\n", omittingEmptySubsequences: false)
        return lines.filter { !$0.contains("--match-set") }.joined(separator: "\n")
    }

    /// One table of a dump, from its `*` line to its COMMIT; empty if it does not exist.
    static func table(_ name: String, of dump: String) -> String {
        guard let start = dump.range(of: "*\(name)\n"),
            let end = dump.range(of: "COMMIT\n", range: start.upperBound..<dump.endIndex)
        else { return "" }
        return String(dump[start.lowerBound..<end.upperBound])
    }

    /// The lines of one chain's rules in a table of a dump.
    static func chain(_ chain: String, in table: String, of dump: String) -> [String] {
        self.table(table, of: dump).split(separator: "\n").map(String.init).filter { $0.hasPrefix("-A \(chain) ") }
    }

    /// A dump without tables that hold no rule, no user chain and no policy: they have no effect.
    ///
    /// The legacy kernel keeps such tables once they have been listed.
    static func withoutEmptyTables(_ dump: String) -> String {
        dump.components(separatedBy: "COMMIT\n").filter { table in
            table.split(separator: "\n").contains { line in
                line.hasPrefix("-A ") || (line.hasPrefix(":") && !line.contains(" ACCEPT "))
            }
        }.map { $0 + "COMMIT\n" }.joined()
    }
}
