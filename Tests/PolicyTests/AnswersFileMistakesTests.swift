import Netfilter
import TestSupport
import Testing

@testable import Policy

/// The messages about a file, line by line; none when it is accepted.
private func complaints(_ yaml: String) -> [String] {
    do {
        _ = try AnswersFile.parse(
            yaml, file: "a.yaml", services: ServiceNames(["ssh", "web", "mail", "dns", "postgres"]))
        return []
    } catch {
        return error.description.split(separator: "\n").map(String.init)
    }
}

@Suite("Answers file: mistakes")
struct AnswersFileMistakesTests {
    @Test("every mistake of a file is reported at once, in the order of its lines")
    func together() {
        let yaml = """
            version: 2
            admins: [192.168.1.300, 10.0.0.1/8, 10.0.0.1, 10.0.0.1/32]
            services:
              - wbe
              - { name: mail, form: admins }
              - { name: dns, from: [everyone, "::1"] }
              - web
              - web
            ports: [8080, 0/tcp, 70000/udp, 90-80/tcp, 53/sctp]
            ping: nobody
            ssh: { ports: [0, 022, 22, 22], from: 10.0.0.0/8 }
            ipv6: false
            log: yes
            exising: keep
            """
        #expect(
            complaints(yaml) == [
                "a.yaml:1: This latchkey does not support version \"2\" of the file format. It supports version 1.",
                "a.yaml:2: \"192.168.1.300\" is not an address: 300 is more than 255.",
                "a.yaml:2: \"10.0.0.1/8\" has host bits set: write 10.0.0.1 or 10.0.0.0/8.",
                "a.yaml:2: \"10.0.0.1/32\" is already in the list, on this line. Delete one of the two.",
                "a.yaml:4: \"wbe\" is not a known service. Did you mean \"web\"?",
                "a.yaml:5: \"form\" is not a key of a service. Did you mean \"from\"?",
                "a.yaml:6: \"everyone\" cannot be part of a list. Write it without brackets: from: everyone.",
                "a.yaml:6: \"::1\" is IPv6, but line 12 says \"ipv6: false\". Delete one of the two.",
                "a.yaml:8: \"web\" is already in the list, on line 7. Delete one of the two.",
                "a.yaml:9: \"8080\" has no protocol; write it like 8080/tcp or 51820/udp.",
                "a.yaml:9: \"0/tcp\" is not a port: ports are numbered from 1 to 65535.",
                "a.yaml:9: \"70000/udp\" is not a port: 70000 is more than 65535.",
                "a.yaml:9: \"90-80/tcp\" is backwards; write 80-90.",
                "a.yaml:9: \"53/sctp\": the protocol \"sctp\" is not supported; use tcp or udp.",
                "a.yaml:10: \"nobody\" is not a valid value of \"ping\". Write replies-only, admins, limited or everyone.",
                "a.yaml:11: \"0\" is out of range. For an SSH port write a number from 1 to 65535.",
                "a.yaml:11: \"022\" is not a whole number. For an SSH port write plain digits, from 1 to 65535.",
                "a.yaml:11: \"22\" is already in the list, on this line. Delete one of the two.",
                "a.yaml:11: \"10.0.0.0/8\" is not in a list; \"from\" takes a list. Write it in [ ].",
                "a.yaml:13: \"yes\" is neither true nor false. For \"log\" write true or false.",
                "a.yaml:14: \"exising\" is not a key of an answers file. Did you mean \"existing\"?",
            ])
    }

    @Test(
        "a file of the wrong shape is explained",
        arguments: [
            ("", ["a.yaml:1: The file is empty."]),
            (
                "version: 1\nadmins: [10.0.0.1, web: 0",
                [
                    "a.yaml:2: \"admins: [10.0.0.1, web: 0\" is not valid YAML: did not find expected ',' or ']'"
                        + " while parsing a flow sequence."
                ]
            ),
            (
                "---",
                [
                    "a.yaml:1: There is no value for an answers file; it takes a group of keys."
                        + " Write keys such as \"version:\"."
                ]
            ),
            (
                "admins: []\n",
                ["a.yaml:1: The key \"version\" is missing. Begin the file with \"version: 1\"."]
            ),
            (
                "- version: 1\n",
                [
                    "a.yaml:1: \"- version: 1\" is a list; an answers file takes a group of keys."
                        + " Write keys such as \"version:\"."
                ]
            ),
            (
                "version\n",
                [
                    "a.yaml:1: \"version\" is text; an answers file takes a group of keys."
                        + " Write keys such as \"version:\"."
                ]
            ),
            (
                "version: \"1\"\n",
                [
                    "a.yaml:1: This latchkey does not support version \"1\" of the file format. It supports version 1, written without quotes."
                ]
            ),
            (
                "version: 1.0\n",
                ["a.yaml:1: This latchkey does not support version \"1.0\" of the file format. It supports version 1."]
            ),
            (
                "version: 1\nversion: 1\n",
                ["a.yaml:2: The key \"version\" is already on line 1. Keep one of the two."]
            ),
            (
                "version: 1\nadmins: 10.0.0.1\n",
                ["a.yaml:2: \"10.0.0.1\" is text; \"admins\" takes a list. Write it as [192.168.1.33]."]
            ),
            (
                "version: 1\nports:\n",
                ["a.yaml:2: There is no value for \"ports\"; it takes a list. Write it as [8080/tcp]."]
            ),
            (
                "version: 1\nservices: [[web]]\n",
                ["a.yaml:2: \"[web]\" is a list; the name of a service takes text."]
            ),
            (
                "version: 1\nservices: [{from: admins}]\n",
                ["a.yaml:2: \"{from: admins}\" does not name a service. Write it as { name: web, from: admins }."]
            ),
            (
                "version: 1\nservices: [{name: web, from: []}]\n",
                [
                    "a.yaml:2: The list for \"from\" is empty and would block everyone."
                        + " Write \"admins\" or addresses."
                ]
            ),
            (
                "version: 1\nservices: [{name: web, from: all}]\n",
                ["a.yaml:2: \"all\" is not a valid value of \"from\". Write everyone, admins or a list of addresses."]
            ),
            (
                "version: 1\nservices: [{name: web, from: }]\n",
                [
                    "a.yaml:2: There is no value for \"from\"; it takes everyone, admins or a list."
                        + " Fill it in or delete it."
                ]
            ),
            (
                "version: 1\nssh: everyone\n",
                [
                    "a.yaml:2: \"everyone\" is text; \"ssh\" takes a group of keys."
                        + " Write it as { ports: [22], from: everyone }."
                ]
            ),
            (
                "version: 1\nssh: {ports: []}\n",
                ["a.yaml:2: The list of SSH ports is empty. Delete it to use the ports that sshd listens on."]
            ),
            (
                "version: 1\nservices: [gopher]\n",
                ["a.yaml:2: \"gopher\" is not a known service. \"latchkey services\" lists them."]
            ),
            (
                "version: 1\nipv6: \"true\"\n",
                [
                    "a.yaml:2: \"true\" is neither true nor false: it is quoted text."
                        + " For \"ipv6\" write true or false."
                ]
            ),
            (
                "version: 1\nadmins: [\"::ffff:10.0.0.1\", 224.0.0.1]\n",
                [
                    "a.yaml:2: \"::ffff:10.0.0.1\" is IPv4 written as IPv6; write 10.0.0.1.",
                    "a.yaml:2: \"224.0.0.1\" is a multicast address: no packet has it as its source.",
                ]
            ),
            (
                "version: 1\nadmins: [::1]\n",
                [
                    "a.yaml:2: \"admins: [::1]\" is not valid YAML: did not find expected node content"
                        + " while parsing a flow node. Write an IPv6 address in quotes."
                ]
            ),
            (
                "version: 1\nadmins: [10.0.0.1\nports: []\n",
                [
                    "a.yaml:3: \"ports: []\" is not valid YAML: did not find expected ',' or ']'"
                        + " while parsing a flow sequence that begins on line 2."
                ]
            ),
        ] as [(String, [String])])
    func shapes(yaml: String, expected: [String]) {
        #expect(complaints(yaml) == expected)
    }

    @Test("a mistake includes its place and the original text")
    func evidence() throws {
        let error = #expect(throws: DataErrors.self) {
            try AnswersFile.parse("version: 1\nping: \"Nobody\"\n", file: "a.yaml", services: ServiceNames([]))
        }
        #expect(
            error?.mistakes == [
                Mistake(
                    file: "a.yaml", line: 2, column: 7, text: "Nobody",
                    message: "\"Nobody\" is not a valid value of \"ping\".",
                    remedy: "Write replies-only, admins, limited or everyone.")
            ])
    }

    @Test("ipv6: false refuses IPv6 addresses everywhere, also before the key")
    func families() {
        let yaml = """
            version: 1
            admins: ["::1"]
            services: [{name: web, from: ["2001:db8::/32"]}]
            ssh: {from: [fe80::1]}
            ipv6: false
            """
        #expect(complaints(yaml).map { $0.prefix(9) } == ["a.yaml:2:", "a.yaml:3:", "a.yaml:4:"])
        #expect(complaints(yaml).allSatisfy { $0.contains("\"ipv6: false\"") })
        #expect(complaints(yaml.replacing("ipv6: false", with: "ipv6: true")).isEmpty)
    }
}

@Suite("Answers file: hostile values")
struct AnswersFileHostileTests {
    /// Each is quoted, so that YAML passes it on to the reader.
    static let hostile = [
        "{{admins}}", "{{{x}}}", "{{> rule}}", "$(reboot)", "`reboot`", "; reboot", "web; reboot", "| sh", "&& x",
        "-j ACCEPT", "22 -j ACCEPT", "10.0.0.1 -j ACCEPT", "10.0.0.1,10.0.0.2", "10.0.0.1 ", " 10.0.0.1", "'", "''",
        "\\\"", "\\\\", "\\n", "10.0.0.1\\n", "web\\n-A INPUT -j ACCEPT", "\\0", "web\\0", "\\e[2J", "\\u202e", "\\r",
        "١٢٣", "１０.0.0.1", "22/tcp ", "２２/tcp", "22/TCP", "22/tcp/udp", "+22/tcp", "-1/tcp", "0x16/tcp", "1e3/tcp",
        "22:25/tcp", "22,25/tcp", "010.0.0.1", "0x0a000001", "10.1", "167772161", "localhost", "example.org", "::1%lo",
        "::ffff:1.2.3.4%x", "0/0", "10.0.0.0/255.0.0.0", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/33", "::/129",
        "WEB", "wеb", "../web", "web/../../x", "", " ", "*", "!", "any", "all", "true", "~", "null",
    ]

    @Test("only addresses, ports, names and keywords are accepted", arguments: hostile)
    func values(value: String) {
        for key in [
            "admins: [\"@\"]", "ports: [\"@\"]", "services: [\"@\"]", "services: [{name: \"@\"}]",
            "services: [{name: web, from: \"@\"}]", "services: [{name: web, from: [\"@\"]}]", "ping: \"@\"",
            "ssh: {ports: [\"@\"]}", "ssh: {from: \"@\"}", "ssh: {from: [\"@\"]}", "ipv6: \"@\"", "log: \"@\"",
            "existing: \"@\"", "\"@\": 1", "ssh: {\"@\": 1}",
        ] {
            let yaml = "version: 1\n\(key.replacing("@", with: value))\n"
            let lines = complaints(yaml)
            #expect(lines.count == 1, "\(yaml)\(lines)")
            #expect(lines.allSatisfy { $0.hasPrefix("a.yaml:2: ") })
            #expect(lines.joined().unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value < 0x7f })
        }
    }

    @Test("a value that fills a whole line is shortened in the message")
    func long() {
        let lines = complaints("version: 1\nadmins: [\(String(repeating: "1", count: 60_000))]\n")
        #expect(lines.count == 1)
        #expect(lines.allSatisfy { $0.count < 160 }, "\(lines)")
    }

    @Test("an alias bomb in an answers file is refused, and so is anything too large")
    func bombs() {
        let clock = ContinuousClock()
        let duration = clock.measure {
            #expect(!complaints("version: 1\nadmins: &a [*a, *a]\nports: *a\n").isEmpty)
            #expect(complaints("version: 1\nadmins: " + String(repeating: "[", count: 50_000)).count == 1)
            #expect(complaints(String(repeating: "version: 1\n", count: 1_000_000)).count == 1)
        }
        #expect(duration < .seconds(2))
    }

    @Test("no input makes the reader crash", arguments: 0..<60 as Range<UInt64>)
    func noise(seed: UInt64) throws {
        var random = SeededNumbers(seed: seed)
        let pieces = [
            "version: 1\n", "admins:", "services:", "ports:", "ssh:", "from", "name", " ", "  ", "\n", "- ", "[", "]",
            "{",
            "}", ",", ": ", "\"", "'", "#", "&a", "*a", "!", "|", ">", "?", "%", "@", "`", "---", "...", "<<", "\t",
            "\\",
            "22", "10.0.0.1", "::1", "80/tcp", "web", "\0", "\u{202e}", "é", "\r",
        ]
        for _ in 0..<50 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0...60, using: &random) {
                bytes += Array((pieces.randomElement(using: &random) ?? "").utf8)
                if Int.random(in: 0...40, using: &random) == 0 {
                    bytes.append(UInt8.random(in: 0...255, using: &random))
                }
            }
            let names = ServiceNames(["web"])
            let answers: Answers
            do {
                answers = try AnswersFile.parse(bytes, file: "a.yaml", services: names)
            } catch {
                #expect(!error.mistakes.isEmpty)
                continue
            }
            #expect(try AnswersFile.parse(AnswersFile.render(answers), file: "b", services: names) == answers)
        }
    }
}
