import Import
import Netfilter
import Policy
import Testing

@Suite("Importing nftables")
struct NFTablesImportTests {
    @Test("a table as people write it")
    func table() throws {
        let result = try Imports.of(
            Imports.nft(
                """
                table inet filter {
                \tset lan {
                \t\ttype ipv4_addr
                \t\tflags interval
                \t\telements = { 10.0.0.0/8, 192.168.1.5,
                \t\t\t     192.168.7.0-192.168.7.1 }
                \t}
                \tchain input {
                \t\ttype filter hook input priority filter; policy drop;
                \t\tct state vmap { invalid : drop, established : accept, related : accept }
                \t\tiif "lo" accept
                \t\tip protocol icmp accept
                \t\tmeta l4proto ipv6-icmp accept
                \t\ttcp dport { 22, 80, 443 } accept
                \t\tudp dport 443 counter accept comment "HTTP/3"
                \t\tip saddr @lan tcp dport 5432 log prefix "db " accept
                \t\tip saddr 172.16.0.1 accept
                \t\tudp dport 60000-61000 accept
                \t\tiifname "eth0" tcp dport vmap { 8080 : accept, 8081 : drop, 8082 : jump more }
                \t\ttcp dport 8000-8100 ct state new limit rate 5/second accept
                \t\treject with icmpx admin-prohibited
                \t}
                \tchain more {
                \t\taccept
                \t}
                \tchain output {
                \t\ttype filter hook output priority filter; policy accept;
                \t}
                }

                """))
        #expect(result.answers.admins == (try Imports.networks("172.16.0.1")))
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
        #expect(
            result.answers.services == [
                ServiceChoice("mosh"), ServiceChoice("web"),
                ServiceChoice(
                    "postgres", from: .networks(try Imports.networks("10.0.0.0/8", "192.168.1.5", "192.168.7.0/31"))),
            ])
        #expect(result.answers.ports.map(\.ports.description) == ["8080/tcp", "8082/tcp"])
        #expect(result.answers.ping == .everyone)
        #expect(result.omitted.contains { $0.rule.contains("8000-8100") && $0.reason.contains("limit rate") })
    }

    @Test("a packet must pass every base chain")
    func twoChains() throws {
        func chain(_ name: String, _ ports: String) -> String {
            """
            table inet \(name) {
            \tchain input {
            \t\ttype filter hook input priority filter; policy drop;
            \t\ttcp dport { \(ports) } accept
            \t}
            }

            """
        }
        let result = try Imports.of(Imports.nft(chain("one", "22, 80, 8080") + chain("two", "22, 8080, 9090")))
        #expect(result.answers.ports.map(\.ports.description) == ["8080/tcp"])
    }

    @Test(
        "rules that are not understood leave the port closed",
        arguments: [
            "meta skuid 0 tcp dport 8443 accept", "ip saddr . tcp dport { 10.0.0.1 . 8443 } accept",
            "tcp dport 8443 ct count 5 accept", "tcp dport 8443 meta mark 0x00000001 accept",
            "tcp dport 8443 ip saddr @unknown accept", "tcp dport 8443 tcp sport 1024-65535 accept",
            "iifname \"wg*\" tcp dport 8443 accept", "tcp dport 8443 meter x { ip saddr limit rate 5/second } accept",
        ])
    func unknown(rule: String) throws {
        let result = try Imports.of(
            Imports.nft(
                """
                table inet filter {
                \tchain input {
                \t\ttype filter hook input priority filter; policy drop;
                \t\ttcp dport 22 accept
                \t\t\(rule)
                \t}
                }

                """))
        #expect(result.answers.ports.isEmpty && result.answers.services.isEmpty && result.answers.admins.isEmpty)
        #expect(result.omitted.contains { $0.rule == rule })
    }

    @Test("a drop that is not understood closes what comes behind it, except SSH")
    func unknownDrop() throws {
        let result = try Imports.of(
            Imports.nft(
                """
                table inet filter {
                \tchain input {
                \t\ttype filter hook input priority filter; policy drop;
                \t\ttcp dport 8080 accept
                \t\tip saddr @blocked drop
                \t\ttcp dport { 22, 8081 } accept
                \t}
                }

                """))
        #expect(result.answers.ports.map(\.ports.description) == ["8080/tcp"])
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
    }
}
