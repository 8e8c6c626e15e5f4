import Glibc
import Host
import Netfilter
import Rehearsal
import TestSupport
import Testing

@Suite("A stage", .kernel, .inTurn)
struct StageTests {
    @Test("probes distinguish accepted, refused and silent", arguments: Family.allCases)
    func outcomes(family: Family) async throws {
        let stage = try await Scene.open()
        defer { stage.close() }
        let (server, stranger) = (try Scene.server(family), try Scene.stranger(family))
        try await stage.listen(in: .server, tcp: [22], udp: [53])
        try await stage.load(
            "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 81 -j DROP\n-A INPUT -p udp --dport 54 -j DROP\nCOMMIT\n",
            family, TestBackend.installed[0])
        let probes: [(Probe, ProbeOutcome)] = [
            (Probe(.tcp, from: stranger, to: server, port: 22), .accepted),
            (Probe(.tcp, from: stranger, to: server, port: 80), .refused),
            (Probe(.tcp, from: stranger, to: server, port: 81), .silent),
            (Probe(.udp, from: stranger, to: server, port: 53), .accepted),
            (Probe(.udp, from: stranger, to: server, port: 55), .refused),
            (Probe(.udp, from: stranger, to: server, port: 54), .silent),
            (Probe(.ping, from: stranger, to: server), .accepted),
            (Probe(.tcp, from: server, to: stranger, port: 22), .unsent),
        ]
        let results = try await stage.probe(probes.map(\.0), from: .outside)
        for (result, expected) in zip(results, probes.map(\.1)) {
            #expect(result.outcome == expected, "\(result)")
        }
    }

    @Test("a thousand silent probes share one wait")
    func sharedWait() async throws {
        let stage = try await Scene.open()
        defer { stage.close() }
        try await stage.load("*filter\n:INPUT DROP [0:0]\nCOMMIT\n", .ipv4, TestBackend.installed[0])
        let (server, stranger) = (try Scene.server(.ipv4), try Scene.stranger(.ipv4))
        let probes = (1...1000).map { Probe(.tcp, from: stranger, to: server, port: $0) }
        let took = try await ContinuousClock().measure {
            let results = try await stage.probe(probes, from: .outside)
            #expect(results.allSatisfy { $0.outcome == .silent })
        }
        #expect(took < .seconds(10))
    }

    @Test("many hosts use few entries of the kernel's neighbour table, which the machine shares")
    func neighbourTable() async throws {
        let hosts = (0..<300).map { "198.18.\($0 / 250).\($0 % 250)" } + (1...300).map { "2001:db8:7::\($0)" }
        let stage = try await Scene.open(outside: hosts)
        defer { stage.close() }
        try await stage.listen(in: .server, tcp: [22])
        let probes = try stage.addresses.outside.map { host in
            Probe(.tcp, from: host, to: try Scene.server(host.family), port: 22)
        }
        let results = try await stage.probe(probes, from: .outside)
        #expect(results.filter { !$0.isAccepted }.isEmpty)
        for place in Stage.Place.allCases {
            let entries = try await stage.run(["ip", "neighbour", "show", "nud", "all", "dev", "eth0"], in: place)
                .split(separator: "\n").filter { !$0.contains("NOARP") }
            #expect(entries.count < 10, "\(entries)")
        }
    }

    @Test("commands run inside it, among its own processes, and not outside")
    func commandsInside() async throws {
        let stage = try await Scene.open()
        defer { stage.close() }
        #expect(try await stage.run(["ip", "-brief", "address", "show", "eth0"]).contains("192.0.2.2/32"))
        #expect(
            try await stage.run(["ip", "-brief", "address", "show", "eth0"], in: .outside).contains("198.51.100.7"))
        #expect(try await stage.run(["cat", "/proc/1/comm"]) == "latchkey\n")
        #expect(try await stage.run(["ls", "/run"]).isEmpty)
        #expect(try await !mustRun(["ip", "address"]).contains("2001:db8:2::2"))
    }

    @Test("a failure to create something says which command failed, and with which output")
    func forbidden() async throws {
        await #expect {
            _ = try await Stage.open(
                agent: ["/nowhere/latchkey"], tools: try StageTools(Toolbox(layout: Layout(root: "/"))))
        } throws: { error in
            "\(error)".contains("/nowhere/latchkey: No such file or directory")
        }
    }

    @Test("closing it ends everything inside, including detached processes")
    func closing() async throws {
        let stage = try await Scene.open()
        let marker = "3141\(getpid())"
        try await stage.run(["setsid", "--fork", "sleep", marker])
        #expect(try await eventually { try await sleepers(marker) == 1 ? true : nil } == true)
        stage.close()
        #expect(try await sleepers(marker) == 0)
    }
}

/// How many processes of the machine sleep for this long: each test uses a unique number of seconds.
private func sleepers(_ seconds: String) async throws -> Int {
    let found = try await run(["pgrep", "--count", "--full", "--exact", "sleep \(seconds)"])
    return Int(found.output.filter(\.isNumber)) ?? -1
}
