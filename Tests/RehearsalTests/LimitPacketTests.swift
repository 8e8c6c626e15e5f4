import Composer
import Host
import Netfilter
import Policy
import Rehearsal
import TestSupport
import Testing

/// What loads rules on a stage.
enum RuleLoader: CaseIterable, CustomTestStringConvertible {
    case nft, legacy, nftables

    var testDescription: String { "\(self)" }

    static var installed: [RuleLoader] {
        TestBackend.installed.map { $0 == .nft ? .nft : .legacy } + [.nftables]
    }

    /// Loads a plan's rules on the server of a stage.
    func load(_ plan: Plan, on stage: Stage) async throws {
        switch self {
        case .nft, .legacy:
            let backend: TestBackend = self == .nft ? .nft : .legacy
            for family in Family.allCases {
                let (rules, sets) = try Composer().composeWithSets(plan, family: family)
                for set in sets { try await stage.run(["ipset", "restore"], input: set.commands) }
                try await stage.load(rules.text, family, backend)
            }
        case .nftables: try await stage.run(["nft", "-f", "-"], input: Composer().composeTable(plan).text)
        }
    }
}

@Suite("Limits, interfaces and blocked sources against packets", .kernel, .inTurn)
struct LimitPacketTests {
    private func plan(_ yaml: String) throws -> Plan {
        let catalog = try TemplateCatalog.builtIn()
        let answers = try AnswersFile.parse(
            "version: 1\n" + yaml, file: "answers.yaml", services: ServiceNames(catalog.names))
        return try Plan(answers: answers, catalog: catalog, sshPorts: [22])
    }

    private func addresses(_ texts: String...) throws -> [IPAddress] { try texts.map(IPAddress.init(parsing:)) }

    /// How many of some new connections to a port of the server come through, all sent at once.
    private func through(
        _ count: Int, from source: IPAddress, _ port: UInt16, _ kind: Probe.Kind = .tcp, on stage: Stage
    ) async throws -> Int {
        let probe = Probe(kind, from: source, to: try Scene.server(source.family), port: port)
        return try await stage.probe(Array(repeating: probe, count: count), from: .outside).count { $0.isAccepted }
    }

    @Test(
        "each address makes as many new connections as the limit allows, and not one more",
        arguments: RuleLoader.installed, Family.allCases)
    func limit(loader: RuleLoader, family: Family) async throws {
        let plan = try plan(
            """
            admins: [192.168.1.33, "2001:db8:5::33"]
            services: [{ name: web, limit: 3/10m }]
            ports: [{ port: 7000-7010/udp, limit: 2/10m }, 9000/tcp]
            ssh: { limit: 6/10m }
            """)
        let (first, second, third, neighbour) = try {
            let all =
                family == .ipv4
                ? try addresses("198.51.100.7", "198.51.100.8", "198.51.100.9", "198.51.100.6")
                : try addresses("2001:db8:bad::7", "2001:db8:bae::7", "2001:db8:baf::7", "2001:db8:bad:0:ffff::1")
            return (all[0], all[1], all[2], all[3])
        }()
        let stage = try await Scene.open(
            outside: Scene.admins + [first, second, third, neighbour].map(\.description))
        defer { stage.close() }
        try await stage.listen(in: .server, tcp: [22, 80, 443, 9000], udp: [7000, 7010])
        try await loader.load(plan, on: stage)

        #expect(try await through(5, from: first, 22, on: stage) == 5)
        #expect(try await through(1, from: first, 22, on: stage) == 1)
        #expect(try await through(3, from: first, 22, on: stage) == 0)
        // Another address has its own count; over IPv6 another one of the same /64 does not.
        #expect(try await through(7, from: second, 22, on: stage) == 6)
        #expect(try await through(7, from: neighbour, 22, on: stage) == (family == .ipv4 ? 6 : 0))
        // A service's ports share its count, and another service has its own.
        #expect(try await through(2, from: first, 80, on: stage) == 2)
        #expect(try await through(2, from: first, 443, on: stage) == 1)
        #expect(try await through(3, from: third, 7000, .udp, on: stage) == 2)
        #expect(try await through(1, from: third, 7010, .udp, on: stage) == 0)
        #expect(try await through(20, from: first, 9000, on: stage) == 20)
        let admin = try Scene.admin(family)
        #expect(try await through(20, from: admin, 22, on: stage) == 20)
        #expect(try await through(20, from: admin, 80, on: stage) == 20)
    }

    @Test("after its time one more connection is accepted", arguments: RuleLoader.installed)
    func refill(loader: RuleLoader) async throws {
        let stage = try await Scene.open()
        defer { stage.close() }
        try await stage.listen(in: .server, tcp: [22])
        try await loader.load(try plan("ssh: { limit: 2/4s }\n"), on: stage)
        let stranger = try Scene.stranger(.ipv4)
        #expect(try await through(3, from: stranger, 22, on: stage) == 2)
        // One more every 2 s; the connections that were dropped don't count.
        try await Task.sleep(for: .milliseconds(2_600))
        #expect(try await through(2, from: stranger, 22, on: stage) == 1)
    }

    @Test("a connection that exists already is not counted", arguments: RuleLoader.installed)
    func established(loader: RuleLoader) async throws {
        let stage = try await Scene.open()
        defer { stage.close() }
        try await stage.listen(in: .server, tcp: [22])
        try await loader.load(try plan("ssh: { limit: 1/10m }\n"), on: stage)
        let probe = Probe(.tcp, from: try Scene.stranger(.ipv4), to: try Scene.server(.ipv4), port: 22)
        #expect(try await stage.hold([probe], from: .outside).map(\.isAccepted) == [true])
        var more = probe
        more.kind = .established
        for _ in 0..<5 {
            #expect(try await stage.probe([more], from: .outside).map(\.isAccepted) == [true])
        }
        #expect(try await through(1, from: probe.source, 22, on: stage) == 0)
    }

    @Test(
        "a blocked source reaches nothing but gets its replies; admins and others are not affected",
        arguments: RuleLoader.installed, Family.allCases)
    func block(loader: RuleLoader, family: Family) async throws {
        let many = (1...20).map { "203.0.114.\($0), \"2001:db8:bb::\($0)\"" }.joined(separator: ", ")
        let plan = try plan(
            """
            admins: [192.168.1.33, "2001:db8:5::33"]
            block: [198.51.100.0/24, "2001:db8:bad::/48", \(many)]
            services: [web]
            ping: everyone
            """)
        let extra = ["203.0.114.20", "203.0.114.21", "2001:db8:bb::20", "2001:db8:bb::21"]
        let stage = try await Scene.open(outside: Scene.admins + Scene.strangers + Scene.others + extra)
        defer { stage.close() }
        try await stage.listen(in: .server, tcp: [22, 80])
        try await stage.listen(in: .outside, tcp: [8080])
        try await loader.load(plan, on: stage)
        let (blocked, server) = (try Scene.stranger(family), try Scene.server(family))
        for source in [blocked, try IPAddress(parsing: extra[family == .ipv4 ? 0 : 2])] {
            #expect(try await through(1, from: source, 80, on: stage) == 0)
            #expect(try await through(1, from: source, 22, on: stage) == 0)
            let ping = Probe(.ping, from: source, to: server)
            #expect(try await stage.probe([ping], from: .outside).map(\.isAccepted) == [false])
        }
        for source in [
            try Scene.admin(family), try Scene.other(family), try IPAddress(parsing: extra[family == .ipv4 ? 1 : 3]),
        ] {
            #expect(try await through(1, from: source, 80, on: stage) == 1)
        }
        let out = Probe(.tcp, from: server, to: blocked, port: 8080)
        #expect(try await stage.probe([out], from: .server).map(\.isAccepted) == [true])
    }

    @Test(
        "what comes in through an interface is allowed, and the same address through another one is not",
        arguments: RuleLoader.installed)
    func interface(loader: RuleLoader) async throws {
        let plan = try plan(
            """
            admins: [{ interface: wg0 }]
            block: [{ interface: tun9 }]
            services: [{ name: web, from: [{ interface: eth7 }], limit: 2/10m }]
            ssh: { from: [{ interface: eth7 }] }
            """)
        let names = ["eth0", "wg0", "tun9", "eth7"]
        let servers = try names.enumerated().map { number, name in
            ServerAddress(try IPAddress(parsing: "192.0.\(2 + number).2"), on: name, prefixLength: 24)
        }
        let outside = try names.indices.map { try IPAddress(parsing: "192.0.\(2 + $0).9") }
        let stage = try await Stage.open(
            agent: [Latchkey.path, "probe-agent"], tools: try StageTools(Toolbox(layout: Layout(root: "/"))),
            addresses: StageAddresses(server: servers, outside: outside))
        defer { stage.close() }
        try await stage.listen(in: .server, tcp: [22, 80, 5432])
        try await loader.load(plan, on: stage)
        func open(_ number: Int) async throws -> [UInt16] {
            try await stage.probe(
                [22, 80, 5432].map {
                    Probe(.tcp, from: outside[number], to: servers[number].address, port: $0)
                }, from: .outside
            ).filter(\.isAccepted).map(\.probe.port)
        }
        #expect(try await open(0).isEmpty)
        #expect(try await open(1) == [22, 80, 5432])
        #expect(try await open(2).isEmpty)
        #expect(try await open(3) == [22, 80])
        #expect(try await open(3) == [22, 80])
        #expect(try await open(3) == [22])
    }
}
