import Host
import Netfilter
import Policy
import Rehearsal
import TestSupport
import Testing

/// A modification that breaks the tutorial's rules, and what the rehearsal must report about it.
struct Breakage: Sendable, CustomTestStringConvertible {
    let name: String
    let family: Family
    /// Edits the lines of the family's rules.
    let edit: @Sendable ([String]) -> [String]
    /// The packet that is not treated as promised: role, packet, whether it is promised open.
    let role: PacketExpectation.Role
    let packet: PacketExpectation.Packet
    let isPromised: Bool
    let answer: Permission.Answer?
    /// Part of the text of the deciding rule or policy.
    let decider: String

    var testDescription: String { name }

    static func without(_ part: String) -> @Sendable ([String]) -> [String] {
        { lines in lines.filter { !$0.contains(part) } }
    }

    static func replacing(_ part: String, with other: String) -> @Sendable ([String]) -> [String] {
        { lines in lines.map { $0.replacing(part, with: other) } }
    }

    static let all: [Breakage] = [
        Breakage(
            name: "a rule missing", family: .ipv4, edit: without("latchkey: ssh"), role: .stranger,
            packet: .tcp(22), isPromised: true, answer: .ssh, decider: "-P INPUT DROP"),
        Breakage(
            name: "wrong order: a drop ahead of the services", family: .ipv4,
            edit: { lines in
                let drop = "-A INPUT -p tcp -m comment --comment \"too early\" -j DROP"
                let place = lines.firstIndex { $0.contains("latchkey: services") } ?? 0
                var lines = lines
                lines.insert(drop, at: place)
                return lines
            }, role: .stranger, packet: .tcp(80), isPromised: true, answer: .service("web"),
            decider: "too early"),
        Breakage(
            name: "a port one off", family: .ipv6, edit: replacing(",993", with: ",994"), role: .stranger,
            packet: .tcp(994), isPromised: false, answer: nil, decider: "latchkey: services"),
        Breakage(
            name: "a port one off, seen from the one that is missing", family: .ipv6,
            edit: replacing(",993", with: ",994"), role: .stranger, packet: .tcp(993), isPromised: true,
            answer: .service("mail"), decider: "-P INPUT DROP"),
        Breakage(
            name: "neighbour discovery forgotten: the questions of others", family: .ipv6,
            edit: without("latchkey: IPv6 neighbours"), role: .stranger, packet: .neighbour, isPromised: true,
            answer: nil, decider: ""),
        Breakage(
            name: "neighbour discovery forgotten: the answers to the server's own", family: .ipv6,
            edit: without("--icmpv6-type 136"), role: .server, packet: .neighbour, isPromised: true, answer: nil,
            decider: ""),
        Breakage(
            name: "routers forgotten", family: .ipv6, edit: without("--icmpv6-type 134"), role: .stranger,
            packet: .message(134), isPromised: true, answer: nil, decider: "-P INPUT DROP"),
        Breakage(
            name: "an ICMPv6 error forgotten", family: .ipv6, edit: without("--icmpv6-type 4"), role: .stranger,
            packet: .message(4), isPromised: true, answer: nil, decider: "-P INPUT DROP"),
        Breakage(
            name: "the rule for replies gone", family: .ipv4, edit: without("RELATED,ESTABLISHED"), role: .server,
            packet: .udp(53), isPromised: true, answer: nil, decider: "-P INPUT DROP"),
        Breakage(
            name: "replies without what is related", family: .ipv4,
            edit: replacing("RELATED,ESTABLISHED", with: "ESTABLISHED"), role: .server, packet: .packetTooBig,
            isPromised: true, answer: nil, decider: "-P INPUT DROP"),
        Breakage(
            name: "wrong family: IPv6 left open", family: .ipv6,
            edit: replacing(":INPUT DROP", with: ":INPUT ACCEPT"), role: .stranger, packet: .tcp(3306),
            isPromised: false, answer: nil, decider: "-P INPUT ACCEPT"),
        Breakage(
            name: "wrong family: IPv6 closed altogether", family: .ipv6,
            edit: { lines in lines.filter { !$0.hasPrefix("-A") || $0.contains("ESTABLISHED") } }, role: .admin,
            packet: .tcp(80), isPromised: true, answer: .admins, decider: "-P INPUT DROP"),
        Breakage(
            name: "a template with a typo: UDP for TCP", family: .ipv4,
            edit: replacing("-p tcp -m tcp --dport 22 ", with: "-p udp -m udp --dport 22 "), role: .stranger,
            packet: .udp(22), isPromised: false, answer: nil, decider: "latchkey: ssh"),
        Breakage(
            name: "what merely claims to be a reply let in", family: .ipv4,
            edit: replacing(
                "-A INPUT -i lo ",
                with: "-A INPUT -p udp -m udp --sport 53 -m comment --comment \"old habit\" -j ACCEPT\n-A INPUT -i lo "),
            role: .stranger, packet: .udp(1900), isPromised: false, answer: nil, decider: "old habit"),
        Breakage(
            name: "the server's own loopback forgotten", family: .ipv4, edit: without("latchkey: loopback"),
            role: .server, packet: .tcp(3306), isPromised: true, answer: nil, decider: "-P INPUT DROP"),
        Breakage(
            name: "a network one address too wide", family: .ipv4,
            edit: replacing("192.168.1.33/32", with: "192.168.1.32/31"), role: .stranger, packet: .tcp(23),
            isPromised: false, answer: nil, decider: "latchkey: admins"),
    ]
}

@Suite("Plans broken on purpose", .kernel, .inTurn)
struct BrokenPlanTests {
    @Test("the unmodified tutorial plan does everything that it promises", arguments: TestBackend.installed)
    func unbroken(backend: TestBackend) async throws {
        let verdicts = try await Rehearsed.verdicts(backend) { $0 }
        #expect(verdicts.filter { !$0.isAsPromised }.isEmpty)
        #expect(verdicts.filter { if case .untested = $0.observation { true } else { false } }.isEmpty)
        // The deciding rule is known for every packet.
        #expect(verdicts.filter { $0.decision == nil }.map(\.expectation).isEmpty)
        for verdict in verdicts where !verdict.expectation.isAccepted {
            #expect(verdict.decision == .policy(.drop), "\(verdict.expectation)")
        }
    }

    @Test(
        "each is detected, with the packet, the answer and the rule at fault",
        arguments: Sampled.cases(Breakage.all, oneOf: 3))
    func broken(breakage: Breakage) async throws {
        for backend in TestBackend.installed {
            let verdicts = try await Rehearsed.verdicts(backend, editing: breakage.family, breakage.edit)
            let differences = verdicts.filter { !$0.isAsPromised }
            let found = differences.first { verdict in
                verdict.expectation.role == breakage.role && verdict.expectation.packet == breakage.packet
                    && verdict.expectation.family == breakage.family
            }
            let verdict = try #require(found, "\(differences.map(\.expectation))")
            #expect(verdict.expectation.isAccepted == breakage.isPromised)
            #expect(verdict.expectation.answer == breakage.answer)
            if !breakage.decider.isEmpty { #expect(verdict.decision?.text.contains(breakage.decider) == true) }
            // The other family is unchanged.
            #expect(differences.allSatisfy { $0.expectation.family == breakage.family })
        }
    }
}

/// A rehearsal of the tutorial's plan with edited rules.
enum Rehearsed {
    static func verdicts(
        _ backend: TestBackend, editing edited: Family? = nil, _ edit: @Sendable ([String]) -> [String]
    ) async throws -> [Verdict] {
        let plan = try TutorialPlan.plan()
        let servers = StageAddresses.documentation.server
        let you = try IPAddress(parsing: "203.0.113.9")
        let expectations = plan.expectations(
            in: ExpectationContext(servers: servers, you: you, yourPort: 22, listening: []))
        var outside: Set<String> = []
        for expectation in expectations {
            outside.formUnion([expectation.source, expectation.target].map(\.description))
        }
        outside.subtract(servers.map(\.address.description) + ["127.0.0.1", "::1"])
        let stage = try await Scene.open(outside: outside.sorted())
        defer { stage.close() }
        var tools: [Family: IPTables] = [:]
        for family in Family.allCases {
            tools[family] = try await IPTables(
                backend: backend == .nft ? .nft : .legacy, family: family,
                toolbox: Toolbox(layout: Layout(root: nil)), runner: StageRunner(stage))
        }
        let rehearsal = Rehearsal(on: stage, tools: tools)
        try await rehearsal.listen(for: expectations)
        var untested = try await rehearsal.control(expectations)
        let tracking = "*filter\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n"
        for tool in tools.values { try await tool.restore(Array(tracking.utf8), flush: false) }
        untested.merge(try await rehearsal.connect(expectations)) { $1 }
        for family in Family.allCases {
            var lines = try TutorialPlan.rules(family).split(separator: "\n").map(String.init)
            if family == edited { lines = edit(lines) }
            try await tools[family]?.restore(Array((lines.joined(separator: "\n") + "\n").utf8), flush: true)
        }
        return try await rehearsal.verdicts(expectations, untested: untested)
    }
}
