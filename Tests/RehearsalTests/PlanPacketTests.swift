import Netfilter
import Policy
import Rehearsal
import TestSupport
import Testing

@Suite("The tutorial's plan against packets", .kernel, .inTurn)
struct PlanPacketTests {
    @Test(
        "a stranger's scan from an empty neighbour table finds the five open ports and no other",
        arguments: TestBackend.installed, Family.allCases)
    func scan(backend: TestBackend, family: Family) async throws {
        let stage = try await Scene.open()
        defer { stage.close() }
        try await stage.listen(in: .server, tcp: Tutorial.tcpListeners, udp: Tutorial.udpListeners)
        // Over IPv6, neighbour discovery must first pass the rules.
        try await stage.load(TutorialPlan.rules(family), family, backend)
        try await stage.forgetNeighbours()
        let (server, stranger) = (try Scene.server(family), try Scene.stranger(family))
        let results = try await stage.probe(
            (1...1200).map { Probe(.tcp, from: stranger, to: server, port: $0) }, from: .outside)
        #expect(results.filter(\.isAccepted).map(\.probe.port) == Tutorial.openTCP)
        // Open ports without a listener answer with a refusal; all other ports stay silent.
        let plan = try TutorialPlan.plan()
        for result in results where result.outcome != .silent {
            #expect(plan.accepts(from: stranger, transport: .tcp, port: result.probe.port), "\(result)")
        }
        #expect(results.allSatisfy { $0.outcome != .unsent })

        let datagrams = try await stage.probe(
            [53, 123].map { Probe(.udp, from: stranger, to: server, port: $0) }, from: .outside)
        #expect(datagrams.map(\.outcome) == [.accepted, .silent])

        let admin = try Scene.admin(family)
        let everything = try await stage.probe(
            Tutorial.tcpListeners.map { Probe(.tcp, from: admin, to: server, port: $0) }
                + Tutorial.udpListeners.map { Probe(.udp, from: admin, to: server, port: $0) }
                + [Probe(.ping, from: admin, to: server)], from: .outside)
        #expect(everything.allSatisfy { $0.isAccepted })
    }

    @Test("without the rules for neighbours IPv6 does not work, which shows that they are needed")
    func neighbours() async throws {
        let stage = try await Scene.open()
        defer { stage.close() }
        try await stage.listen(in: .server, tcp: [22])
        let rules = try TutorialPlan.rules(.ipv6) { $0.contains("latchkey: IPv6 neighbours") }
        try await stage.load(rules, .ipv6, TestBackend.installed[0])
        try await stage.forgetNeighbours()
        let probe = Probe(.tcp, from: try Scene.stranger(.ipv6), to: try Scene.server(.ipv6), port: 22)
        #expect(try await stage.probe([probe], from: .outside).map(\.isAccepted) == [false])
        try await stage.load(TutorialPlan.rules(.ipv6), .ipv6, TestBackend.installed[0])
        try await stage.forgetNeighbours()
        #expect(try await stage.probe([probe], from: .outside, patience: .seconds(3)).map(\.isAccepted) == [true])
    }

    @Test("an ICMP error is accepted only if it belongs to a known flow; over IPv6 errors are always accepted")
    func strayErrors() async throws {
        for family in Family.allCases {
            let stage = try await Scene.open()
            defer { stage.close() }
            let (server, stranger) = (try Scene.server(family), try Scene.stranger(family))
            let stray = Probe(.strayError, from: stranger, to: server, port: 40000, sourcePort: 53)

            // A reply to a ping shows that everything sent before it has arrived.
            let ping = Probe(.ping, from: try Scene.admin(family), to: server)
            #expect(try await stage.probe([ping], from: .outside).map(\.outcome) == [.accepted])

            func arrived(_ probe: Probe, from place: Stage.Place, _ outcome: ProbeOutcome) async throws -> Int {
                let before = try await stage.icmpErrorsReceived(family)
                #expect(try await stage.probe([probe], from: place).map(\.outcome) == [outcome])
                #expect(try await stage.probe([ping], from: .outside).map(\.outcome) == [.accepted])
                return try await stage.icmpErrorsReceived(family) - before
            }
            #expect(try await arrived(stray, from: .outside, .sent) == 1, "the control, without rules")

            try await stage.load(TutorialPlan.rules(family), family, TestBackend.installed[0])
            // RFC 4890 section 4.3.1: ICMPv6 errors are not to be dropped.
            #expect(try await arrived(stray, from: .outside, .sent) == (family == .ipv4 ? 0 : 1))

            // Nothing listens on port 9 outside: the error about the server's own datagram comes back to its socket.
            let known = Probe(.udp, from: server, to: try Scene.other(family), port: 9)
            #expect(try await arrived(known, from: .server, .refused) == 1)
        }
    }

    @Test("forwarded packets pass; with FORWARD at DROP they would not", arguments: Family.allCases)
    func forwarding(family: Family) async throws {
        let stage = try await Scene.open()
        defer { stage.close() }
        let beyond = try await addPlaceBeyond(stage)
        let probe = Probe(
            .ping, from: try Scene.stranger(family), to: try IPAddress(parsing: beyond[family == .ipv4 ? 0 : 1]))
        let rules = try TutorialPlan.rules(family)
        let backend = TestBackend.installed[0]
        // The control, without rules; the new veth pair needs a moment until it works.
        let passage = try await eventually {
            try await stage.probe([probe], from: .outside).allSatisfy { $0.isAccepted } ? true : nil
        }
        #expect(passage == true)
        try await stage.load(rules.replacing(":FORWARD ACCEPT", with: ":FORWARD DROP"), family, backend)
        #expect(try await stage.probe([probe], from: .outside).map(\.outcome) == [.silent])
        try await stage.load(rules, family, backend)
        #expect(try await stage.probe([probe], from: .outside, patience: .seconds(2)).map(\.outcome) == [.accepted])
    }

    /// A third namespace behind the server, which answers pings; returns its addresses.
    private func addPlaceBeyond(_ stage: Stage) async throws -> [String] {
        let unshare = try Tool.path("unshare")
        try await stage.run(["setsid", "--fork", unshare, "--net", "--", try Tool.path("sleep"), "4242"])
        let sleeper = try "\(Tool.path("sleep")) 4242"
        let found = try await eventually {
            let found = try await TestSupport.run(
                stage.enterCommand([Tool.path("pgrep"), "--full", "--exact", sleeper]))
            return found.status == 0 ? found.output.filter(\.isNumber) : nil
        }
        let id = try #require(found)
        let inside = try [Tool.path("nsenter"), "--net=/proc/\(id)/ns/net", Tool.path("ip"), "-batch", "-"]
        try await stage.run(
            ["ip", "-batch", "-"],
            input: """
                link add beyond type veth peer name eth0 netns \(id)
                link set beyond up
                address add 10.9.0.1/24 dev beyond
                address add 2001:db8:9::1/64 dev beyond nodad

                """)
        try await stage.run(
            inside,
            input: """
                link set eth0 up
                address add 10.9.0.9/24 dev eth0
                address add 2001:db8:9::9/64 dev eth0 nodad
                route add 0.0.0.0/0 via 10.9.0.1
                route add ::/0 via 2001:db8:9::1

                """)
        try await stage.run(["sysctl", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])
        // The outside reaches it through the server.
        try await stage.run(
            ["ip", "-batch", "-"],
            input:
                "route add 10.9.0.0/24 via 192.0.2.2 dev eth0 onlink\nroute add 2001:db8:9::/64 via 2001:db8:2::2 dev eth0\n",
            in: .outside)
        return ["10.9.0.9", "2001:db8:9::9"]
    }
}
