import Foundation
import TestSupport
import Testing

/// What was dropped, on the real kernel: the totals of the kernel's counters, and lines of its log.
@Suite("Dropped packets", .kernel, .inTurn)
struct DropsTests {
    /// A way to keep rules.
    struct Way: Sendable, CustomTestStringConvertible {
        let backend: String
        let existing: Existing

        static let all =
            [Way(backend: "nftables", existing: .keep)]
            + TestBackend.installed.flatMap { backend in
                Existing.allCases.map { Way(backend: backend.rawValue, existing: $0) }
            }

        var testDescription: String { "\(backend), \(existing.testDescription)" }
        var machine: TestBackend { TestBackend(rawValue: backend) ?? TestBackend.installed[0] }
    }

    /// Lines as the kernel writes them, in the form of /dev/kmsg, seconds after the boot.
    private static func records(_ lines: [String]) -> String {
        lines.map { "4,1,1000000,-;\($0)\n" }.joined()
    }

    private static func syn(_ source: String, _ port: Int) -> String {
        "latchkey drop: IN=eth0 OUT= MAC=02:00 SRC=\(source) DST=192.0.2.2 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF "
            + "PROTO=TCP SPT=40000 DPT=\(port) WINDOW=64240 RES=0x00 SYN URGP=0 "
    }

    private func keep(_ machine: Machine, _ way: Way, log: Bool = true) async throws {
        let text = """
            version: 1
            admins: [192.168.1.33]
            services: [web]
            ports: [7000/udp]
            ssh: { ports: [22], from: admins }
            existing: \(way.existing.rawValue)
            log: \(log)

            """
        let file = try machine.root.write(text, to: "drops.yaml")
        let applied = try await machine.latchkey(
            "apply", "--answers", file, "--backend", way.backend, "--no-rehearsal", "--detach", "--deadline", "5m")
        #expect(applied.status == 0, "\(applied.errors)")
        #expect(try await machine.latchkey("confirm").status == 0)
    }

    private func drops(_ machine: Machine, _ more: String...) async throws -> Finished {
        try await Latchkey.run(["drops"] + more, root: machine.root, in: machine.namespace)
    }

    /// Sends UDP packets to the server, each once.
    private func send(_ count: Int, to port: Int, _ family: IPFamily, from outside: NetworkNamespace) async throws {
        let address = NamespacePair.bare(NamespacePair.serverAddresses, family)
        try await outside.mustRun([
            "bash", "-c", "exec 3<>/dev/udp/\(address)/\(port); for i in $(seq \(count)); do echo x >&3 || :; done",
        ])
    }

    @Test("the totals of drops and of status are the packets that were sent", arguments: Way.all)
    func totals(way: Way) async throws {
        try await Machine.withOutside(way.machine) { machine, outside in
            try await keep(machine, way)
            try machine.root.write("", to: "dev/kmsg")
            func total() async throws -> Int { try await JSON(drops(machine, "--json")).number("total") ?? -1 }
            func answered() async throws -> (web: Int, bytes: Int, dropped: Int) {
                let counters = try await machine.status().objects("counters") ?? []
                func sum(_ key: String, _ matches: (String) -> Bool) -> Int {
                    counters.filter { matches($0.text("answer") ?? "") }.reduce(0) { $0 + ($1.number(key) ?? 0) }
                }
                return (
                    sum("packets") { $0.contains("7000/udp") }, sum("bytes") { $0.contains("7000/udp") },
                    sum("packets") { $0 == "drop all else" }
                )
            }
            let before = (try await total(), try await answered())
            #expect(before.0 == before.1.dropped)
            for family in IPFamily.allCases {
                try await send(17, to: 9_999, family, from: outside)
                try await send(1, to: 7_000, family, from: outside)
            }
            let after = (try await total(), try await answered())
            #expect(after.0 - before.0 == 34)
            #expect(after.1.dropped - before.1.dropped == 34)
            #expect(after.1.web - before.1.web == 2)
            #expect(after.1.bytes > before.1.bytes)
            let text = try await machine.latchkey("status").output
            #expect(text.contains("Packets since these rules were loaded: "))
            #expect(text.contains("dropped \(after.0)"))
            #expect(try await drops(machine).output.contains("have dropped \(after.0) packet"))
        }
    }

    @Test("lines of the kernel log are explained by the kept answers", arguments: [80, 40])
    func explained(width: Int) async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await keep(machine, Way(backend: "nftables", existing: .keep))
            let lines = [
                Self.syn("198.51.100.7", 8_443), Self.syn("198.51.100.7", 8_443), Self.syn("203.0.113.9", 8_443),
                Self.syn("198.51.100.7", 22), "eth0: link is up", Self.syn("\u{1B}[2J", 8_443),
            ]
            try machine.root.write(Self.records(lines), to: "dev/kmsg")
            let report = try JSON(await drops(machine, "--since", "3650d", "--json"))
            let found = report.objects("drops") ?? []
            #expect(found.map { $0.number("port") } == [8_443, 22])
            #expect(found.map { $0.number("count") } == [3, 1])
            #expect(found.first?.number("sources") == 2)
            #expect(
                found.map { $0.text("reason") } == [
                    "no service or port in the answers opens it", "ssh allows only the admins",
                ])
            #expect(report.truth("logging") == true && report.truth("limited") == true)
            #expect(report.number("unreadable") == 1)

            let command = "stty cols \(width); '\(Latchkey.path)' drops --since 3650d"
            let shown = try await machine.namespace.mustRun(
                ["script", "-qec", command, "/dev/null"], environment: Latchkey.environment(root: machine.root))
            #expect(shown.contains("8443/tcp, 3 times from 2 addresses:"))
            #expect(!shown.contains("\u{1B}[2J"))
            let columns = shown.split(whereSeparator: \.isNewline).map(\.count)
            #expect(columns.allSatisfy { $0 <= width }, "\(shown)")

            let followed = try await drops(machine, "--follow", "--since", "3650d")
            #expect(followed.status == 0)
            #expect(followed.output.split(separator: "\n").count == 4)
            #expect(followed.output.contains(" 22/tcp from 198.51.100.7: ssh allows only the admins\n"))
        }
    }

    /// Whether the kernel logs the packets of a test's network; the machine's administrator decides.
    private static let logsEverywhere =
        (try? String(contentsOfFile: "/proc/sys/net/netfilter/nf_log_all_netns", encoding: .utf8)) == "1\n"

    @Test(
        "a packet that the kernel drops and logs is reported, with its port and source",
        .enabled(if: logsEverywhere, "the kernel logs here only with net.netfilter.nf_log_all_netns=1"),
        arguments: Way.all)
    func logged(way: Way) async throws {
        try await Machine.withOutside(way.machine) { machine, outside in
            try await keep(machine, way)
            let port = 20_000 + Int.random(in: 0..<10_000)
            for family in IPFamily.allCases { try await send(2, to: port, family, from: outside) }
            let report = try JSON(await drops(machine, "--since", "1m", "--json"))
            let found = (report.objects("drops") ?? []).filter { $0.number("port") == port }
            #expect(Set(found.compactMap { $0.text("family") }) == ["ipv4", "ipv6"])
            #expect(found.allSatisfy { $0.number("count") == 2 && $0.text("protocol") == "udp" })
            let sources = found.flatMap { $0.objects("topSources") ?? [] }.compactMap { $0.text("source") }
            #expect(Set(sources).isSubset(of: Set(NamespacePair.gateways.map { String($0.prefix { $0 != "/" }) })))
            #expect(report.number("unreadable") == 0)
        }
    }

    @Test("nothing logged in a network namespace of its own: the report says why")
    func otherNamespace() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await keep(machine, Way(backend: "nftables", existing: .keep))
            try machine.root.write("", to: "dev/kmsg")
            let finished = try await drops(machine)
            #expect(finished.status == 0)
            #expect(finished.output.contains("No dropped packet was logged in the last 24h"))
            #expect(finished.output.contains("net.netfilter.nf_log_all_netns=1"))
        }
    }

    @Test("with log: false the report says how to turn it on, and still gives the totals")
    func off() async throws {
        try await Machine.withOutside(TestBackend.installed[0]) { machine, outside in
            try await keep(machine, Way(backend: "nftables", existing: .keep), log: false)
            // Not even the kernel log can be read.
            try machine.root.write("", to: "dev/kmsg/nothing")
            try await send(3, to: 9_999, .ipv4, from: outside)
            let finished = try await drops(machine)
            #expect(finished.status == 0, "\(finished.errors)")
            let words = finished.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(words.contains("write \"log: true\" in the answers"))
            let report = try JSON(await drops(machine, "--json"))
            #expect(report.truth("logging") == false)
            #expect((report.number("total") ?? 0) >= 3)
            #expect(report.objects("drops")?.isEmpty == true)
        }
    }

    @Test("a kernel log that cannot be read is exit status 69")
    func unreadable() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await keep(machine, Way(backend: "nftables", existing: .keep))
            try machine.root.write("", to: "dev/kmsg/nothing")
            for words in [["drops"], ["drops", "--follow"], ["drops", "--json"]] {
                let finished = try await Latchkey.run(words, root: machine.root, in: machine.namespace)
                #expect(finished.status == 69)
                #expect(finished.errors.contains("The kernel log cannot be read"))
                #expect(finished.output.isEmpty)
            }
        }
    }

    @Test("without kept rules there is nothing to report")
    func nothingKept() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            let finished = try await drops(machine, "--json")
            #expect(finished.status == 69)
            #expect(finished.output.isEmpty)
            #expect(try await machine.status().kinds["counters"] == nil)
        }
    }

    @Test("a pending change has no totals yet, and counters that cannot be read are left out")
    func noCounters() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await keep(machine, Way(backend: "nftables", existing: .keep))
            try await machine.namespace.mustRun(["nft", "delete", "table", "inet", "latchkey"])
            let status = try await machine.status()
            #expect(status.truth("drift") == true && status.kinds["counters"] == nil)
            #expect(!(try await machine.latchkey("status").output.contains("Packets since")))
            try await machine.begin(.keep)
            #expect(try await machine.status().kinds["counters"] == nil)
            #expect(try await machine.latchkey("revert").status == 0)
        }
    }
}
