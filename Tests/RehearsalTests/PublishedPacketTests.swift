import Composer
import Host
import Netfilter
import Policy
import Rehearsal
import TestSupport
import Testing

/// Packets to a container behind the stage's server, under rules that are whole or broken on purpose.
@Suite("Published ports with packets", .kernel, .inTurn)
struct PublishedPacketTests {
    /// A modification that breaks the rules about published ports, and whose packets are then not as promised.
    struct Breakage: Sendable, CustomTestStringConvertible {
        let name: String
        /// Edits the lines of the rules of iptables, or of the table of nftables.
        let edit: @Sendable (String) -> String?
        let source: Source
        /// Whether a rule of latchkey's is named as the deciding one, with iptables.
        let isOwned: Bool

        enum Source { case stranger, admin, named }

        var testDescription: String { name }

        static let all = [
            Breakage(
                name: "the last rule is missing", edit: { $0.contains("drop all else") ? nil : $0 }, source: .stranger,
                isOwned: true),
            Breakage(
                name: "nothing leads to the chain",
                edit: { line in
                    let leads = ["-j latchkey-docker", "jump published"].contains { line.contains($0) }
                    return leads ? nil : line
                }, source: .stranger, isOwned: false),
            Breakage(
                name: "the admins are forgotten",
                edit: { $0.contains("published ports, admins") ? nil : $0 }, source: .admin, isOwned: true),
            Breakage(
                name: "the container's port is asked instead of the published one",
                edit: {
                    $0.replacing("--ctorigdstport 8080", with: "--ctorigdstport 80")
                        .replacing("proto-dst 8080", with: "proto-dst 80")
                }, source: .named, isOwned: true),
        ]
    }

    private static let containers = ["172.17.0.2", "fd00:d0c::2"]
    private static let answers = """
        version: 1
        admins: [192.168.1.33, "2001:db8:5::33"]
        ports: [{ port: 8080/tcp, from: [203.0.113.53, "2001:db8:cafe::53"] }]
        docker: answers

        """

    private static func plan() throws -> Plan {
        let catalog = try TemplateCatalog.builtIn()
        return try Plan(
            answers: AnswersFile.parse(answers, file: "answers", catalog: catalog), catalog: catalog, sshPorts: [22],
            interfaces: ["docker0", "eth0"])
    }

    /// What Docker loads for a container with the published port 8080.
    private static func docker(_ family: Family) -> String {
        let container = containers[family == .ipv4 ? 0 : 1]
        let to = family == .ipv4 ? "\(container):80" : "[\(container)]:80"
        return """
            *nat
            :PREROUTING ACCEPT [0:0]
            :DOCKER - [0:0]
            -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
            -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination \(to)
            COMMIT
            *filter
            :FORWARD DROP [0:0]
            :DOCKER - [0:0]
            :DOCKER-USER - [0:0]
            -A FORWARD -j DOCKER-USER
            -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
            -A FORWARD -o docker0 -j DOCKER
            -A FORWARD -i docker0 -j ACCEPT
            -A DOCKER -d \(container) ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
            COMMIT

            """
    }

    /// The verdicts on published ports under the plan's rules, edited line by line.
    ///
    /// - Parameters:
    ///   - backend: whose rules Docker loads.
    ///   - isTable: whether latchkey's rules are its own table of nftables.
    ///   - edit: edits latchkey's rules.
    /// - Returns: the verdicts.
    /// - Throws: if the stage cannot be made, or the rules cannot be loaded.
    private func verdicts(
        _ backend: TestBackend, isTable: Bool, _ edit: @escaping (String) -> String? = { $0 }
    ) async throws -> [Verdict] {
        let plan = try Self.plan()
        let ports = try Self.containers.map { text in
            let to = try IPAddress(parsing: text)
            return PublishedPort(
                PortSpec(range: PortRange(8080), transport: .tcp),
                to: ContainerEndpoint(to, port: 80).description)
        }
        let servers = StageAddresses.documentation.server
        let expectations = plan.publishedExpectations(ports, in: ExpectationContext(servers: servers))
        let members = try Self.containers.map(IPAddress.init(parsing:))
        let outside = Set(expectations.flatMap { [$0.source, $0.target] })
            .subtracting(servers.map(\.address) + members)
        let stage = try await Stage.open(
            agent: [Latchkey.path, "probe-agent"], tools: try StageTools(Toolbox(layout: Layout(root: "/"))),
            addresses: StageAddresses(
                server: servers, outside: outside.sorted(),
                containers: [StageContainers(behind: "docker0", server: [], members: members)]))
        defer { stage.close() }
        let toolbox = Toolbox(layout: Layout(root: nil))
        let runner = StageRunner(stage)
        var counters: any CounterSource
        if isTable {
            counters = try NFTablesCounters(
                families: Family.allCases, toolbox: toolbox, runner: runner, path: .forwarded)
        } else {
            var tools: [Family: IPTables] = [:]
            for family in Family.allCases {
                tools[family] = try await IPTables(
                    backend: backend == .nft ? .nft : .legacy, family: family, toolbox: toolbox, runner: runner)
            }
            counters = IPTablesCounters(tools, path: .forwarded)
        }
        let rehearsal = Rehearsal(on: stage, counters: counters)
        try await rehearsal.listen(for: expectations)
        let untested = try await rehearsal.control(expectations)
        #expect(untested.isEmpty)
        let edited = { (text: String) in
            text.split(separator: "\n").compactMap { edit(String($0)) }.joined(separator: "\n") + "\n"
        }
        for family in Family.allCases {
            try await stage.load(Self.docker(family), family, backend)
            guard !isTable else { continue }
            try await stage.run(
                [backend.tool(family.forTests, "restore"), "-w", "5", "--noflush"],
                input: edited(Composer().compose(plan, family: family).text))
        }
        if isTable {
            try await stage.run(["nft", "-f", "-"], input: edited(Composer().composeTable(plan).text))
        }
        return try await rehearsal.verdicts(expectations, untested: untested)
    }

    private static let forms = TestBackend.installed.flatMap { [($0, false), ($0, true)] }

    private static let breakages = Breakage.all.flatMap { breakage in forms.map { (breakage, $0) } }

    @Test("under whole rules everything is as promised, and the deciding rule is known", arguments: forms)
    func whole(_ backend: TestBackend, isTable: Bool) async throws {
        let verdicts = try await verdicts(backend, isTable: isTable)
        #expect(verdicts.filter { !$0.isAsPromised }.isEmpty)
        let incoming = verdicts.filter { $0.expectation.direction == .in }
        #expect(incoming.count >= 8)
        #expect(incoming.allSatisfy { $0.decision?.isOfOthers == false })
        // A container's own connections, and their replies.
        let out = verdicts.filter { $0.expectation.direction == .out }
        #expect(out.count == 4 && out.allSatisfy { $0.observation == .accepted })
    }

    @Test("broken rules are detected in both families", arguments: Sampled.cases(breakages, oneOf: 5))
    func broken(_ breakage: Breakage, _ form: (TestBackend, Bool)) async throws {
        let verdicts = try await verdicts(form.0, isTable: form.1, breakage.edit)
        let wrong = verdicts.filter { !$0.isAsPromised }
        for family in Family.allCases {
            let source: Set<IPAddress> =
                switch breakage.source {
                case .stranger: Set(wrong.filter { $0.expectation.role == .stranger }.map(\.expectation.source))
                case .admin: try [Scene.admin(family)]
                case .named: try [Scene.other(family)]
                }
            let found = wrong.filter { $0.expectation.family == family && source.contains($0.expectation.source) }
            #expect(!found.isEmpty, "\(wrong.map(\.expectation))")
            if !form.1 {
                #expect(found.allSatisfy { ($0.decision?.isOfOthers == false) == breakage.isOwned })
            }
        }
    }
}
