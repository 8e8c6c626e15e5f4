import Import
import Netfilter
import Policy
import Testing

@Suite("Importing firewalld")
struct FirewalldImportTests {
    private static func services() throws -> [String: FirewalldService] {
        let files = [
            "ssh": "<port protocol=\"tcp\" port=\"22\"/>", "http": "<port protocol=\"tcp\" port=\"80\"/>",
            "https": "<port protocol=\"tcp\" port=\"443\"/>", "postgresql": "<port protocol=\"tcp\" port=\"5432\"/>",
            "samba-client": "<port protocol=\"udp\" port=\"137\"/><port protocol=\"udp\" port=\"138\"/>",
            "samba": "<include service=\"samba-client\"/><port protocol=\"tcp\" port=\"139\"/>"
                + "<port protocol=\"tcp\" port=\"445\"/>",
            "mdns": "<port protocol=\"udp\" port=\"5353\"/><destination ipv4=\"224.0.0.251\" ipv6=\"ff02::fb\"/>",
            "dhcpv6-client": "<port protocol=\"udp\" port=\"546\"/><destination ipv6=\"fe80::/64\"/>",
        ]
        var services: [String: FirewalldService] = [:]
        for (name, body) in files {
            services[name] = try FirewalldService(
                name, xml: "<?xml version=\"1.0\"?>\n<service>\(body)</service>\n", file: "\(name).xml")
        }
        return services
    }

    private static func result(
        _ zones: [FirewalldZone], _ machine: ImportMachine = ImportMachine(), direct: [Family: [Rule]] = [:],
        policies: [String] = []
    ) throws -> ImportResult {
        try Imports.of(
            FirewalldFilter(
                zones: zones, services: services(), defaultZone: "public", direct: direct, policies: policies),
            machine)
    }

    private static func zone(
        _ name: String = "public", _ attributes: String = "", _ body: String
    ) throws -> FirewalldZone {
        try FirewalldZone(
            name, xml: "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<zone\(attributes)>\n\(body)\n</zone>\n",
            file: "\(name).xml")
    }

    private static let usual = "<service name=\"ssh\"/>"

    @Test("a file and the listing of the same zone are the same zone")
    func listing() throws {
        let file = try Self.zone(
            "public", "",
            """
            <interface name="eth0"/><source address="10.0.0.0/8"/>
            <service name="ssh"/><service name="http"/><port port="8080" protocol="tcp"/>
            <icmp-block name="echo-request"/><source-port port="68" protocol="udp"/><protocol value="esp"/>
            <rule family="ipv4" priority="-5"><source address="203.0.113.0/24" invert="True"/>
              <port port="8080" protocol="tcp"/><drop/></rule>
            <rule><service name="mysql"/><accept><limit value="3/m"/></accept></rule>
            """)
        let listed = FirewalldZone.listing(
            """
            public (active)
              target: default
              icmp-block-inversion: no
              interfaces: eth0
              sources: 10.0.0.0/8
              services: ssh http
              ports: 8080/tcp
              protocols: esp
              forward: yes
              masquerade: no
              forward-ports: \n  source-ports: 68/udp
              icmp-blocks: echo-request
              rich rules: \n\trule priority="-5" family="ipv4" source NOT address="203.0.113.0/24" port port="8080" protocol="tcp" drop
            \trule service name="mysql" accept limit value="3/m"

            """)
        let zone = try #require(listed.first)
        #expect(listed.count == 1)
        var (one, other) = (file, zone)
        (one.rules, other.rules) = ([], [])
        #expect(one == other)
        for zone in [file, zone] {
            let result = try Self.result([zone])
            #expect(result.answers.ports.map(\.ports.description) == ["80/tcp"])
            #expect(result.answers.ping == .repliesOnly)
        }
    }

    @Test("services, ports, sources and ping")
    func usual() throws {
        let result = try Self.result([
            Self.zone(
                "public", "",
                Self.usual
                    + "<service name=\"samba\"/><service name=\"mdns\"/><port port=\"8080\" protocol=\"tcp\"/>"
                    + "<rule family=\"ipv4\"><source address=\"10.0.0.0/8\"/><service name=\"postgresql\"/><accept/></rule>"
            ),
            Self.zone("trusted", " target=\"ACCEPT\"", "<source address=\"192.168.1.33\"/>"),
        ])
        #expect(result.answers.admins == (try Imports.networks("192.168.1.33")))
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
        #expect(
            result.answers.services == [
                ServiceChoice("samba", from: .everyone), ServiceChoice("mdns"),
                ServiceChoice("postgres", from: .networks(try Imports.networks("10.0.0.0/8"))),
            ])
        #expect(result.answers.ports.map(\.ports.description) == ["8080/tcp"])
        #expect(result.answers.ping == .everyone)
        #expect(result.omitted.isEmpty)
    }

    @Test("a source's zone decides about it, and the default zone no more")
    func sourceZone() throws {
        let result = try Self.result([
            Self.zone("public", "", Self.usual + "<port port=\"8080\" protocol=\"tcp\"/>"),
            Self.zone("block", " target=\"%%REJECT%%\"", "<source address=\"203.0.113.0/24\"/>"),
        ])
        #expect(result.answers.ports.map(\.ports.description) == ["8080/tcp"])
        #expect(result.answers.block == (try Imports.networks("203.0.113.0/24")))
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
        // What it may not, without being blocked, nobody may by the answers.
        let narrower = try Self.result([
            Self.zone("public", "", Self.usual + "<port port=\"8080\" protocol=\"tcp\"/>"),
            Self.zone("work", "", Self.usual + "<source address=\"203.0.113.0/24\"/>"),
        ])
        #expect(narrower.answers.ports.isEmpty)
        #expect(narrower.omitted.contains { $0.effect.hasPrefix("closed: 8080/tcp") })
    }

    @Test("rich rules that drop come first, those with a limit are not imported")
    func richRules() throws {
        let result = try Self.result([
            Self.zone(
                "public", "",
                Self.usual + "<port port=\"8080-8082\" protocol=\"tcp\"/>"
                    + "<rule><port port=\"8081\" protocol=\"tcp\"/><reject/></rule>"
                    + "<rule><service name=\"http\"/><accept><limit value=\"3/m\"/></accept></rule>"
                    + "<rule priority=\"10\"><port port=\"9000\" protocol=\"udp\"/><accept/></rule>")
        ])
        #expect(result.answers.ports.map(\.ports.description) == ["8080/tcp", "8082/tcp", "9000/udp"])
        #expect(
            result.omitted.contains { $0.rule.contains("limit value=\"3/m\"") && $0.effect.hasPrefix("closed: 80/tcp") }
        )
    }

    @Test(
        "the target of a zone decides about pings and the rest",
        arguments: [
            ("", PingPolicy.everyone), (" target=\"DROP\"", .repliesOnly), (" target=\"%%REJECT%%\"", .repliesOnly),
        ])
    func target(attributes: String, ping: PingPolicy) throws {
        #expect(try Self.result([Self.zone("public", attributes, Self.usual)]).answers.ping == ping)
    }

    @Test("with inverted blocks only the types that are named come in")
    func inversion() throws {
        let none = try Self.result([Self.zone("public", "", Self.usual + "<icmp-block-inversion/>")])
        #expect(none.answers.ping == .repliesOnly)
        let named = try Self.result([
            Self.zone(
                "public", " target=\"default\"",
                Self.usual + "<icmp-block-inversion/><icmp-block name=\"echo-request\"/>")
        ])
        #expect(named.answers.ping == .everyone)
    }

    @Test("a port is open to everyone only if it is open in the zone of every interface")
    func severalZones() throws {
        let zones = [
            try Self.zone("public", "", Self.usual + "<port port=\"8080\" protocol=\"tcp\"/>"),
            try Self.zone(
                "internal", "",
                "<interface name=\"eth1\"/>" + Self.usual
                    + "<port port=\"8080\" protocol=\"tcp\"/><port port=\"9000\" protocol=\"tcp\"/>"),
        ]
        let result = try Self.result(zones, ImportMachine(interfaces: ["eth0", "eth1"]))
        let from = Source.networks(AddressList(interfaces: [try InterfaceName(parsing: "eth1")]))
        #expect(
            result.answers.ports == [
                PortChoice(try PortSpec(parsing: "8080/tcp")),
                PortChoice(try PortSpec(parsing: "9000/tcp"), from: from),
            ])
    }

    @Test("sources in the zones drop and block are blocked, and the trusted zone's interface is an admin")
    func specialZones() throws {
        let zones = [
            try Self.zone("public", "", Self.usual + "<port port=\"8080\" protocol=\"tcp\"/>"),
            try Self.zone("drop", " target=\"DROP\"", "<source address=\"203.0.113.0/24\"/>"),
            try Self.zone("block", " target=\"%%REJECT%%\"", "<source address=\"198.51.100.7\"/>"),
            try Self.zone("trusted", " target=\"ACCEPT\"", "<interface name=\"wg0\"/>"),
        ]
        let result = try Self.result(zones, ImportMachine(interfaces: ["eth0"]))
        #expect(result.answers.block == (try Imports.networks("198.51.100.7", "203.0.113.0/24")))
        #expect(result.answers.admins == AddressList(interfaces: [try InterfaceName(parsing: "wg0")]))
        #expect(result.answers.ports.map(\.ports.description) == ["8080/tcp"])
        #expect(result.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
        #expect(result.answers.ping == .everyone)
    }

    @Test("a set of addresses stands for them, if all of it is understood")
    func ipsets() throws {
        func result(_ entries: String) throws -> ImportResult {
            let zones = [
                try Self.zone("public", "", Self.usual + "<port port=\"8080\" protocol=\"tcp\"/>"),
                try Self.zone("drop", " target=\"DROP\"", "<source ipset=\"bad\"/>"),
            ]
            let set = try FirewalldIPSet(
                xml: "<?xml version=\"1.0\"?>\n<ipset type=\"hash:net\">\(entries)</ipset>\n", file: "bad.xml")
            return try Imports.of(
                FirewalldFilter(
                    zones: zones, services: try Self.services(), defaultZone: "public", ipsets: ["bad": set]))
        }
        let plain = try result("<entry>203.0.113.0/24</entry><entry>198.51.100.7</entry>")
        #expect(plain.answers.block == (try Imports.networks("198.51.100.7", "203.0.113.0/24")))
        #expect(plain.answers.ports.count == 1)
        let odd = try result("<entry>203.0.113.0/24</entry><entry>192.0.2.1,tcp:80</entry>")
        #expect(odd.answers.block.isEmpty && odd.answers.ports.isEmpty)
    }

    @Test("a rich rule that rejects a source blocks it; one with a limit on SSH limits each address, with a remark")
    func richRulesOfSources() throws {
        let zone = try Self.zone(
            "public", "",
            "<port port=\"8080\" protocol=\"tcp\"/>"
                + "<rule family=\"ipv4\"><source address=\"203.0.113.9\"/><reject/></rule>"
                + "<rule><service name=\"ssh\"/><accept><limit value=\"10/m\"/></accept></rule>")
        let result = try Self.result([zone])
        #expect(result.answers.block == (try Imports.networks("203.0.113.9")))
        #expect(
            result.answers.ssh == SSHAnswer(ports: [22], from: .everyone, limit: try RateLimit(parsing: "10/1m")))
        #expect(
            result.omitted.contains {
                $0.reason.contains("counts all sources together") && $0.effect.contains("with a limit of 10/1m")
            })
    }

    @Test("direct rules that drop, and policies, come ahead of the zones")
    func ahead() throws {
        let zone = try Self.zone("public", "", Self.usual + "<port port=\"8080-8081\" protocol=\"tcp\"/>")
        let direct = try FirewalldDirect(
            """
            <?xml version="1.0" encoding="utf-8"?>
            <direct>
              <rule ipv="ipv4" table="filter" chain="INPUT" priority="0">-p tcp --dport 8080 -j DROP</rule>
              <rule ipv="ipv6" table="filter" chain="INPUT" priority="0">-p tcp --dport 8080 -j DROP</rule>
              <passthrough ipv="ipv4">-A FORWARD -j ACCEPT</passthrough>
            </direct>

            """, file: "direct.xml")
        #expect(direct.others == ["-A FORWARD -j ACCEPT"])
        let blocked = try Self.result([zone], direct: direct.blocks)
        #expect(blocked.answers.ports.map(\.ports.description) == ["8081/tcp"])
        let doubtful = try Self.result([zone], policies: ["mine"])
        #expect(doubtful.answers.ports.isEmpty)
        #expect(doubtful.answers.ssh == SSHAnswer(ports: [22], from: .everyone))
    }

    @Test(
        "a broken file is refused with its line",
        arguments: [
            ("<zone>\n<service name=ssh/>\n</zone>", 2), ("<zone>\n<service name=\"ssh\"/>", 2),
            ("<!DOCTYPE zone [<!ENTITY x \"y\">]>\n<zone/>", 1), ("<zone>\n\n<a>\n</zone>", 4), ("", 1),
            ("<policy/>", 1),
        ])
    func broken(text: String, line: Int) throws {
        let error = try #require(throws: ImportMistake.self) { try FirewalldZone("x", xml: text, file: "x.xml") }
        #expect(error.line == line)
        #expect("\(error)".hasPrefix("x.xml:\(line): "))
    }

    @Test("deep nesting does not exhaust the stack")
    func deep() {
        let text = String(repeating: "<a>", count: 100_000)
        #expect(throws: ImportMistake.self) { try FirewalldZone("x", xml: text, file: "x.xml") }
    }
}
