import Import
import Netfilter
import Policy
import Testing

@Suite("Importing ufw")
struct UFWImportTests {
    /// What ufw's own before.rules comes to, shortened.
    private static func before(_ prefix: String) -> String {
        let icmp = prefix == "ufw" ? "icmp --icmp-type" : "icmpv6 --icmpv6-type"
        let group = prefix == "ufw" ? "224.0.0.251" : "ff02::fb"
        return """
            *filter
            :\(prefix)-before-input - [0:0]
            :\(prefix)-not-local - [0:0]
            -A \(prefix)-before-input -i lo -j ACCEPT
            -A \(prefix)-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
            -A \(prefix)-before-input -m conntrack --ctstate INVALID -j \(prefix)-logging-deny
            -A \(prefix)-before-input -m conntrack --ctstate INVALID -j DROP
            -A \(prefix)-before-input -p \(icmp) echo-request -j ACCEPT
            -A \(prefix)-before-input -j \(prefix)-not-local
            -A \(prefix)-not-local -m addrtype --dst-type LOCAL -j RETURN
            -A \(prefix)-not-local -m limit --limit 3/min --limit-burst 10 -j \(prefix)-logging-deny
            -A \(prefix)-not-local -j DROP
            -A \(prefix)-before-input -p udp -d \(group) --dport 5353 -j ACCEPT
            COMMIT

            """
    }

    private static func user(_ prefix: String, _ rules: String) -> String {
        """
        *filter
        :\(prefix)-user-input - [0:0]
        :\(prefix)-user-limit - [0:0]
        :\(prefix)-user-limit-accept - [0:0]
        ### RULES ###

        \(rules)

        ### END RULES ###
        -I \(prefix)-logging-deny -m conntrack --ctstate INVALID -j RETURN -m limit --limit 3/min --limit-burst 10
        -A \(prefix)-user-limit -m limit --limit 3/minute -j LOG --log-prefix "[UFW LIMIT BLOCK] "
        -A \(prefix)-user-limit -j REJECT
        -A \(prefix)-user-limit-accept -j ACCEPT
        COMMIT

        """
    }

    private static func after(_ prefix: String) -> String {
        """
        *filter
        :\(prefix)-after-input - [0:0]
        -A \(prefix)-after-input -p udp --dport 137 -j \(prefix)-skip-to-policy-input
        COMMIT

        """
    }

    private static func result(
        _ ipv4: String, _ ipv6: String, policy: String = "DROP", filtersIPv6: Bool = true,
        machine: ImportMachine = ImportMachine()
    ) throws -> ImportResult {
        func sets(_ prefix: String, _ rules: String) throws -> [RuleSet] {
            try [before(prefix), user(prefix, rules), after(prefix)].map {
                try UFWFiles.rules($0, file: "ufw", for: prefix == "ufw" ? .ipv4 : .ipv6)
            }
        }
        let files = UFWFiles(
            rules: [.ipv4: try sets("ufw", ipv4), .ipv6: try sets("ufw6", ipv6)], policy: policy,
            filtersIPv6: filtersIPv6)
        return try Imports.of(files.filter, machine)
    }

    private static func both(_ tuple: String, _ rule: String) -> (String, String) {
        func text(_ prefix: String, _ all: String) -> String {
            "### tuple ### \(tuple.replacing("ANY", with: all))\n-A \(prefix)-user-input \(rule)\n"
        }
        return (text("ufw", "0.0.0.0/0"), text("ufw6", "::/0"))
    }

    private static func all(_ rules: [(String, String)]) throws -> ImportResult {
        try result(rules.map(\.0).joined(separator: "\n"), rules.map(\.1).joined(separator: "\n"))
    }

    @Test("allowed ports, networks and applications, each by ufw's own words")
    func allowed() throws {
        let result = try Self.result(
            """
            ### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in
            -A ufw-user-input -p tcp --dport 22 -j ACCEPT -m comment --comment 'dapp_OpenSSH'

            ### tuple ### allow tcp 5432 0.0.0.0/0 any 10.0.0.0/8 in
            -A ufw-user-input -p tcp --dport 5432 -s 10.0.0.0/8 -j ACCEPT

            ### tuple ### allow any any 0.0.0.0/0 any 192.168.1.33 in comment=61646d696e
            -A ufw-user-input -s 192.168.1.33 -j ACCEPT

            ### tuple ### allow udp 60000:61000 0.0.0.0/0 any 0.0.0.0/0 in
            -A ufw-user-input -p udp -m multiport --dports 60000:61000 -j ACCEPT
            """,
            """
            ### tuple ### allow tcp 22 ::/0 any ::/0 OpenSSH - in
            -A ufw6-user-input -p tcp --dport 22 -j ACCEPT -m comment --comment 'dapp_OpenSSH'

            ### tuple ### allow udp 60000:61000 ::/0 any ::/0 in
            -A ufw6-user-input -p udp -m multiport --dports 60000:61000 -j ACCEPT
            """)
        #expect(result.answers.admins == (try Imports.networks("192.168.1.33")))
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
        #expect(
            result.answers.services == [
                ServiceChoice("mosh"), ServiceChoice("mdns"),
                ServiceChoice("postgres", from: .networks(try Imports.networks("10.0.0.0/8"))),
            ])
        #expect(result.answers.ping == .everyone)
        #expect(result.omitted.isEmpty)
        #expect(result.imported.contains { $0.rule == "ufw allow \"OpenSSH\"" && $0.answer == "ssh" })
        #expect(result.imported.contains { $0.rule == "ufw allow from 192.168.1.33" && $0.answer == "admins" })
        #expect(result.imported.contains { $0.rule == "ufw allow from 10.0.0.0/8 to any port 5432 proto tcp" })
    }

    @Test("limited ports and limited SSH are limited, with a note on the difference")
    func limited() throws {
        func rules(_ prefix: String, _ all: String, _ port: Int) -> String {
            """
            ### tuple ### limit tcp \(port) \(all) any \(all) in
            -A \(prefix)-user-input -p tcp --dport \(port) -m conntrack --ctstate NEW -m recent --set
            -A \(prefix)-user-input -p tcp --dport \(port) -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6 -j \(prefix)-user-limit -m comment --comment 'dapp_Any%20App'
            -A \(prefix)-user-input -p tcp --dport \(port) -j \(prefix)-user-limit-accept -m comment --comment 'dapp_Any%20App'

            """
        }
        let result = try Self.result(
            rules("ufw", "0.0.0.0/0", 22) + rules("ufw", "0.0.0.0/0", 8080),
            rules("ufw6", "::/0", 22) + rules("ufw6", "::/0", 8080))
        // The sixth connection within 30 s is refused.
        let limit = try RateLimit(parsing: "5/30s")
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone, limit: limit))
        #expect(result.answers.ports == [PortChoice(try PortSpec(parsing: "8080/tcp"), limit: limit)])
        #expect(result.omitted.isEmpty)
        #expect(result.imported.contains { $0.rule == "ufw limit 22/tcp" && $0.answer == "ssh, limit 5/30s" })
        #expect(result.notes.contains { $0.hasPrefix("ufw limit 8080/tcp: the answers allow one address 5 in 30 s") })
    }

    @Test("a deny ahead of an allow counts, one behind it does not")
    func order() throws {
        let result = try Self.all([
            Self.both("allow tcp 22 ANY any ANY in", "-p tcp --dport 22 -j ACCEPT"),
            Self.both("allow tcp 8080 ANY any ANY in", "-p tcp --dport 8080 -j ACCEPT"),
            Self.both("deny tcp 8080 ANY any ANY in", "-p tcp --dport 8080 -j DROP"),
            Self.both("deny tcp 9090 ANY any ANY in", "-p tcp --dport 9090 -j DROP"),
            Self.both("allow tcp 9090 ANY any ANY in", "-p tcp --dport 9090 -j ACCEPT"),
        ])
        #expect(result.answers.ports.map(\.ports.description) == ["8080/tcp"])
    }

    @Test("without IPv6, all of IPv6 is blocked")
    func withoutIPv6() throws {
        let rule =
            "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n-A ufw-user-input -p tcp --dport 22 -j ACCEPT"
        let result = try Self.result(rule, "", filtersIPv6: false)
        #expect(!result.answers.ipv6)
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
    }
}
