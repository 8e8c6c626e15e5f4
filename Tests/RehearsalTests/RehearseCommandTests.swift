import Foundation
import Glibc
import TestSupport
import Testing

@Suite("latchkey rehearse", .kernel, .inTurn)
struct RehearseCommandTests {
    static let answers = """
        version: 1
        admins: [192.168.1.33, "2001:db8:5::/64"]
        services: [web, { name: mail, from: [10.8.0.0/24] }]
        ports: [60000-60010/udp]
        ping: limited

        """

    /// The documented keys of `rehearse --json`.
    private struct Report: Decodable {
        struct Probe: Decodable {
            let family: String
            let from: String
            let role: String
            let direction: String
            let `protocol`: String
            let port: Int?
            let expected: String
            let observed: String?
            let rule: String?
            let answer: String?
        }
        let passed: Bool
        let milliseconds: Int
        let probes: [Probe]
    }

    @Test("everything is as promised, in JSON and in text; the machine's rules and counters stay the same")
    func passes() async throws {
        for backend in TestBackend.installed {
            let root = try TemporaryFolder()
            let file = try root.write(Self.answers, to: "answers.yaml")
            let machine = try await NetworkNamespace()
            defer { machine.close() }
            try await machine.restore(
                "*filter\n:INPUT ACCEPT [0:0]\n:f2b-sshd - [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j f2b-sshd\n"
                    + "-A f2b-sshd -s 203.0.113.9/32 -j DROP\nCOMMIT\n", .ipv4, backend)
            let before = try await machine.dump(.ipv4, backend, counters: true)
            let words = ["rehearse", "--answers", file, "--backend", backend.rawValue]
            let finished = try await Latchkey.run(words + ["--json"], root: root, in: machine)
            #expect(finished.status == 0, "\(finished.errors)")
            #expect(Self.bare(try await machine.dump(.ipv4, backend, counters: true)) == Self.bare(before))

            let report = try JSONDecoder().decode(Report.self, from: Data(finished.stdout))
            #expect(report.passed)
            #expect(report.milliseconds > 0)
            for probe in report.probes {
                #expect(["ipv4", "ipv6"].contains(probe.family))
                #expect(["admin", "stranger", "server", "you"].contains(probe.role))
                #expect(["in", "out"].contains(probe.direction))
                #expect(["tcp", "udp", "icmp"].contains(probe.protocol))
                #expect(["accept", "drop"].contains(probe.expected))
                #expect(probe.observed == probe.expected)
            }
            // Both ends of the range, and the ports next to them.
            let range = report.probes.filter { $0.family == "ipv6" && $0.role == "stranger" && $0.protocol == "udp" }
            for (port, expected) in [(59999, "drop"), (60000, "accept"), (60010, "accept"), (60011, "drop")] {
                #expect(range.contains { $0.port == port && $0.expected == expected }, "\(port)")
            }
            // A member of the limited network, and an address just outside it.
            let mail = report.probes.filter { $0.port == 25 && $0.answer == "services: mail" }
            #expect(Set(mail.filter { $0.expected == "accept" }.map(\.from)) == ["10.8.0.1"])
            #expect(mail.contains { $0.from == "10.8.1.0" && $0.expected == "drop" })
            #expect(mail.contains { $0.from == "10.7.255.255" && $0.expected == "drop" })
            // Every row has its rule, with both backends.
            #expect(report.probes.contains { $0.rule?.contains("latchkey: service") == true })

            let table = try await Latchkey.run(words, root: root, in: machine)
            #expect(table.status == 0)
            #expect(table.output.split(separator: "\n").allSatisfy { $0.count <= 80 })
            #expect(!table.output.contains("\u{1B}"))
            #expect(table.output.contains("latchkey: ssh"))
        }
    }

    @Test("another program's rule that blocks an allowed client is a difference: 4, with rule and answer")
    func foreignRule() async throws {
        let root = try TemporaryFolder()
        let file = try root.write(Self.answers, to: "answers.yaml")
        let machine = try await NetworkNamespace()
        defer { machine.close() }
        let backend = TestBackend.installed[0]
        try await machine.restore(
            "*filter\n:INPUT ACCEPT [0:0]\n:other - [0:0]\n-A INPUT -p tcp -m tcp --dport 443 -j other\n"
                + "-A other -m comment --comment \"not here\" -j DROP\nCOMMIT\n", .ipv4, backend)
        for command in ["rehearse", "apply"] {
            let finished = try await Latchkey.run(
                [command, "--answers", file, "--backend", backend.rawValue], root: root, in: machine)
            #expect(finished.status == 4)
            #expect(finished.errors.contains("443/tcp from"))
            #expect(finished.errors.contains("services: web"))
            #expect(finished.errors.contains("not here"))
        }
        #expect(try await machine.dump(.ipv4, backend).contains("latchkey") == false)
    }

    @Test(
        "if everybody is an admin, everything is open to everybody",
        arguments: ["[0.0.0.0/0, \"::/0\"]", "[0.0.0.0/1, 128.0.0.0/1, \"::/1\", \"8000::/1\"]"])
    func everybody(admins: String) async throws {
        let root = try TemporaryFolder()
        let file = try root.write("version: 1\nadmins: \(admins)\n", to: "answers.yaml")
        let machine = try await NetworkNamespace()
        defer { machine.close() }
        let finished = try await Latchkey.run(["rehearse", "--answers", file, "--json"], root: root, in: machine)
        #expect(finished.status == 0, "\(finished.errors)")
        let report = try JSONDecoder().decode(Report.self, from: Data(finished.stdout))
        // Connections from the server exist in both families.
        let out = report.probes.filter { $0.direction == "out" && $0.protocol == "tcp" }
        #expect(Set(out.map(\.family)) == ["ipv4", "ipv6"])
    }

    /// Rules of other programs against some addresses, and a trap for clients that try closed ports.
    private static let grudges = [
        "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 198.51.100.0/24 -j DROP\n"
            + "-A PREROUTING -s 203.0.113.0/24 -j DROP\nCOMMIT\n",
        "*filter\n:INPUT ACCEPT [0:0]\n:f2b-sshd - [0:0]\n-A INPUT -j f2b-sshd\n"
            + "-A f2b-sshd -m iprange --src-range 198.51.100.0-198.51.100.255 -p tcp -j REJECT\nCOMMIT\n",
        "*filter\n:INPUT ACCEPT [0:0]\n:trap - [0:0]\n-A INPUT -j trap\n"
            + "-A trap -m recent --name caught --rcheck --seconds 60 -j DROP\n"
            + "-A trap ! -s 192.168.1.33/32 -p tcp -m tcp --dport 23 -m recent --name caught --set -j DROP\nCOMMIT\n",
    ]

    @Test("another program's rule against a stand-in's address is not the plan's fault", arguments: grudges)
    func grudge(rules: String) async throws {
        let root = try TemporaryFolder()
        let file = try root.write("version: 1\nadmins: [192.168.1.33]\nservices: [web]\n", to: "answers.yaml")
        let machine = try await NetworkNamespace()
        defer { machine.close() }
        try await machine.restore(rules, .ipv4, TestBackend.installed[0])
        let finished = try await Latchkey.run(["rehearse", "--answers", file], root: root, in: machine)
        #expect(finished.status == 0, "\(finished.errors)")
    }

    @Test("a rule before filter that blocks an admin is reported with its table", arguments: TestBackend.installed)
    func aheadOfFilter(backend: TestBackend) async throws {
        let root = try TemporaryFolder()
        let file = try root.write("version: 1\nadmins: [198.51.100.9]\n", to: "answers.yaml")
        let machine = try await NetworkNamespace()
        defer { machine.close() }
        let rule = "-A PREROUTING -s 198.51.100.0/24 -j DROP"
        try await machine.restore("*raw\n:PREROUTING ACCEPT [0:0]\n\(rule)\nCOMMIT\n", .ipv4, backend)
        let words = ["--answers", file, "--backend", backend.rawValue]
        let finished = try await Latchkey.run(["rehearse"] + words, root: root, in: machine)
        #expect(finished.status == 4)
        #expect(finished.errors.contains("decided by -t raw \(rule)"), "\(finished.errors)")
        let traced = try await Latchkey.run(["trace", "198.51.100.9", "tcp/22"] + words, root: root, in: machine)
        #expect(traced.output.contains("=> -t raw \(rule)"))
        #expect(traced.output.contains("Blocked."))
    }

    @Test("each host comes in by the interface that it faces, as on the machine", arguments: TestBackend.installed)
    func interfaces(backend: TestBackend) async throws {
        let root = try TemporaryFolder()
        let file = try root.write(
            "version: 1\nadmins: [10.9.0.7, \"fd00:9::7\", 203.0.113.5]\nservices: [web]\n", to: "answers.yaml")
        let machine = try await NetworkNamespace()
        defer { machine.close() }
        let links = """
            link add wan0 type veth peer name far0
            link add mgmt0 type veth peer name far1
            link set far0 up
            link set far1 up
            link set wan0 up
            link set mgmt0 up
            address add 198.51.100.2/24 dev wan0
            address add 2001:db8:2::2/64 dev wan0 nodad
            address add 10.9.0.1/24 dev mgmt0
            address add fd00:9::1/64 dev mgmt0 nodad
            route add default dev wan0
            route add ::/0 dev wan0

            """
        try await machine.mustRun(["ip", "-batch", "-"], input: Array(links.utf8))
        // Another program's chain comes first: its rule for one interface affects only hosts that use that interface.
        func refused(at interface: String, _ match: String) async throws -> Set<String> {
            for family in IPFamily.allCases {
                try await machine.restore(
                    "*filter\n:INPUT ACCEPT [0:0]\n:other - [0:0]\n-A INPUT -i \(interface) -j other\n"
                        + "-A other\(family == .ipv4 ? match : "") -p tcp -m tcp --dport 22 -j DROP\nCOMMIT\n", family,
                    backend)
            }
            let finished = try await Latchkey.run(
                ["rehearse", "--answers", file, "--backend", backend.rawValue, "--json"], root: root, in: machine)
            #expect(finished.status == 4, "\(finished.errors)")
            let report = try JSONDecoder().decode(Report.self, from: Data(finished.stdout))
            let wrong = report.probes.filter { $0.observed != $0.expected }
            #expect(wrong.allSatisfy { $0.port == 22 && $0.expected == "accept" })
            return Set(wrong.map(\.from))
        }
        let inside = try await refused(at: "mgmt0", " -d 10.9.0.1/32")
        // The admins there, and the addresses next to theirs.
        #expect(inside.isSuperset(of: ["10.9.0.7", "fd00:9::7"]))
        #expect(inside.allSatisfy { $0.hasPrefix("10.9.0.") || $0.hasPrefix("fd00:9::") })
        let outside = try await refused(at: "wan0", " -d 198.51.100.2/32")
        #expect(outside.contains("203.0.113.5"))
        #expect(outside.allSatisfy { !$0.hasPrefix("10.9.0.") && !$0.hasPrefix("fd00:9::") })
    }

    @Test("a host behind a tunnel or router is reached there, following the kernel's routes and rules")
    func routes() async throws {
        let root = try TemporaryFolder()
        let file = try root.write("version: 1\nadmins: [100.101.9.9, 10.20.3.0/24]\n", to: "answers.yaml")
        let machine = try await NetworkNamespace()
        defer { machine.close() }
        let links = """
            link add wan0 type veth peer name far0
            link add tailscale0 type veth peer name far1
            link add wg0 type veth peer name far2
            link set far0 up
            link set far1 up
            link set far2 up
            link set wan0 up
            link set tailscale0 up
            link set wg0 up
            address add 198.51.100.2/24 dev wan0
            address add 100.101.1.1/32 dev tailscale0
            address add 10.8.0.2/24 dev wg0
            route add default dev wan0
            route add 10.20.0.0/16 via 10.8.0.1 dev wg0
            rule add pref 5270 table 52
            route add 100.101.9.9 dev tailscale0 table 52

            """
        try await machine.mustRun(["ip", "-batch", "-"], input: Array(links.utf8))
        try await machine.restore(
            """
            *filter
            :INPUT ACCEPT [0:0]
            :ts-input - [0:0]
            :spoof - [0:0]
            -A INPUT -j ts-input
            -A INPUT -j spoof
            -A ts-input -s 100.64.0.0/10 ! -i tailscale0 -j DROP
            -A spoof -s 10.20.0.0/16 ! -i wg0 -j DROP
            COMMIT

            """, .ipv4, TestBackend.installed[0])
        let finished = try await Latchkey.run(["rehearse", "--answers", file, "--json"], root: root, in: machine)
        #expect(finished.status == 0, "\(finished.errors)")
        let report = try JSONDecoder().decode(Report.self, from: Data(finished.stdout))
        #expect(
            Set(report.probes.filter { $0.role == "admin" }.map(\.from)) == ["100.101.9.9", "10.20.3.1", "10.20.3.255"])
        let traced = try await Latchkey.run(
            ["trace", "10.20.3.1", "tcp/22", "--answers", file], root: root, in: machine)
        #expect(traced.output.contains("Allowed."))
    }

    @Test("interfaces named like keywords of ip, and addresses on lo, cause no problem")
    func oddMachine() async throws {
        let root = try TemporaryFolder()
        let file = try root.write("version: 1\nadmins: [10.1.0.7, 10.2.0.7]\n", to: "answers.yaml")
        let machine = try await NetworkNamespace()
        defer { machine.close() }
        for (number, name) in ["type", "#lan", "up"].enumerated() {
            try await machine.mustRun([
                "ip", "link", "add", "name", name, "type", "veth", "peer", "name", "far\(number)",
            ])
            try await machine.mustRun(["ip", "link", "set", "dev", name, "up"])
            try await machine.mustRun(["ip", "address", "add", "10.\(number).0.1/24", "dev", name])
        }
        try await machine.mustRun(["ip", "address", "add", "203.0.113.1/32", "dev", "lo"])
        try await machine.mustRun(["ip", "route", "add", "default", "dev", "type"])
        try await machine.restore(
            "*filter\n:INPUT ACCEPT [0:0]\n:other - [0:0]\n-A INPUT -j other\n"
                + "-A other -s 10.1.0.0/24 ! -i #lan -j DROP\nCOMMIT\n", .ipv4, TestBackend.installed[0])
        let finished = try await Latchkey.run(["rehearse", "--answers", file], root: root, in: machine)
        #expect(finished.status == 0, "\(finished.errors)")
        #expect(finished.errors.contains("as expected"))
    }

    @Test("SIGKILL in the middle leaves no process, and therefore no namespace")
    func killed() async throws {
        let root = try TemporaryFolder()
        let file = try root.write(Self.answers, to: "answers.yaml")
        // Each host of the stage has its holder and its agent; before that, whatever exists by then.
        for least in [0, 1, 2, 4] {
            // On a busy machine a whole rehearsal may fit between two looks: then with the next one.
            var found: (child: Child, inside: [pid_t])?
            for _ in 1...10 where found == nil { found = try await rehearsal(of: file, root, descendants: least) }
            let (child, inside) = try #require(found)
            kill(child.id, SIGKILL)
            let end = ContinuousClock.now + .seconds(5)
            while inside.contains(where: { kill($0, 0) == 0 && !isZombie($0) }), ContinuousClock.now < end {
                _ = child.statusIfEnded()
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(inside.filter { kill($0, 0) == 0 && !isZombie($0) }.isEmpty)
        }
        // Nothing was written either: only the answers exist.
        #expect(try FileManager.default.contentsOfDirectory(atPath: root.path) == ["answers.yaml"])
    }

    /// Starts a rehearsal and waits for so many descendants; nil if it ended first.
    private func rehearsal(
        of file: String, _ root: TemporaryFolder, descendants least: Int
    ) async throws -> (child: Child, inside: [pid_t])? {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { close(null) }
        let child = try Child.start(
            [Latchkey.path, "rehearse", "--answers", file], input: null, output: null, errors: null,
            environment: Latchkey.environment(root: root))
        var inside = descendants(of: child.id)
        while inside.count < least, child.statusIfEnded() == nil {
            try await Task.sleep(for: .milliseconds(2))
            inside = descendants(of: child.id)
        }
        return inside.count >= least ? (child, inside) : nil
    }

    /// Without the comment lines, which contain the time of day.
    private static func bare(_ dump: String) -> [Substring] {
        dump.split(separator: "\n").filter { !$0.hasPrefix("#") }
    }

    private func descendants(of root: pid_t) -> [pid_t] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { pid_t($0) } ?? []
        var parents: [pid_t: pid_t] = [:]
        for id in all { parents[id] = field(id, 1).flatMap { pid_t($0) } }
        var found: Set<pid_t> = [root]
        while case let more = all.filter({ !found.contains($0) && found.contains(parents[$0] ?? -1) }), !more.isEmpty {
            found.formUnion(more)
        }
        return found.subtracting([root]).sorted()
    }

    private func isZombie(_ id: pid_t) -> Bool { field(id, 0) == "Z" }

    /// A field of /proc/PID/stat after the name: 0 is the state, 1 the parent.
    private func field(_ id: pid_t, _ number: Int) -> String? {
        guard let text = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.indices.contains(number) ? String(fields[number]) : nil
    }
}
