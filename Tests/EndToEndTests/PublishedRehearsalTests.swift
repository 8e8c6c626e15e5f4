import Foundation
import TestSupport
import Testing

/// Rehearsals of a server with published container ports, with packets to a namespace that stands for the container.
@Suite("The rehearsal of published container ports", .kernel, .inTurn)
struct PublishedRehearsalTests {
    /// What `rehearse --json` says.
    struct Report: Decodable {
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
            let container: String?
            let form: String
        }
        let passed: Bool
        let probes: [Probe]
        let notes: [String]

        /// The probes to or from containers.
        var published: [Probe] { probes.filter { $0.container != nil } }
    }

    private static let answers = """
        version: 1
        admins: [192.168.1.33, "2001:db8:5::/64"]
        services: [web]
        ports: [{ port: 8080/tcp, from: [10.8.0.0/24, "2001:db8:8::/64"] }]
        block: [203.0.113.0/24]

        """

    private func rehearse(
        _ host: ContainerHost, _ test: DockerTests.Case, _ answers: String
    ) async throws -> (Report, Finished) {
        let file = try host.machine.root.write(answers, to: "published.yaml")
        let finished = try await Latchkey.run(
            ["rehearse", "--answers", file, "--backend", test.name, "--json"], root: host.machine.root,
            in: host.machine.namespace, timeout: .seconds(120))
        return (try JSONDecoder().decode(Report.self, from: Data(finished.stdout)), finished)
    }

    @Test(
        "limited ports are closed to strangers, and open to admins and to those that the answers name",
        arguments: Sampled.cases(DockerTests.Case.all, oneOf: 5))
    func limited(_ test: DockerTests.Case) async throws {
        try await ContainerHost.with(test.backend, test.publisher) { host in
            try await host.start()
            let (report, finished) = try await rehearse(host, test, Self.answers + "docker: answers\n")
            #expect(finished.status == 0, "\(finished.errors)")
            #expect(report.passed)
            let incoming = report.published.filter { $0.direction == "in" }
            for form in ["pending", "kept"] {
                for (family, container) in [
                    ("ipv4", "\(ContainerHost.container4):80"), ("ipv6", "[\(ContainerHost.container6)]:80"),
                ] {
                    let own = incoming.filter { $0.form == form && $0.family == family }
                    #expect(own.allSatisfy { $0.port == 8080 && $0.container == container })
                    #expect(own.allSatisfy { $0.observed == $0.expected })
                    let admins = own.filter { $0.role == "admin" }
                    #expect(!admins.isEmpty && admins.allSatisfy { $0.observed == "accept" && $0.answer == "admins" })
                    let strangers = own.filter { $0.role == "stranger" }
                    let named = strangers.filter { $0.from == "10.8.0.1" || $0.from == "2001:db8:8::1" }
                    #expect(named.count == 1 && named.allSatisfy { $0.observed == "accept" && $0.answer == "ports" })
                    // Others, among them the neighbours of that network, and the blocked network.
                    let others = strangers.filter { $0.observed == "drop" }
                    #expect(others.count >= 3, "\(strangers.map(\.from))")
                    #expect(others.allSatisfy { $0.rule?.contains("latchkey: published ports") ?? (form == "pending") })
                    #expect(others.contains { $0.answer == "block" } == (family == "ipv4"))
                    let out = report.published.filter {
                        $0.form == form && $0.family == family && $0.direction == "out"
                    }
                    #expect(out.count == 2 && out.allSatisfy { $0.role == "server" && $0.observed == "accept" })
                }
            }
        }
    }

    @Test(
        "left as Docker has them, they are open to everyone", arguments: Sampled.cases(DockerTests.Case.all, oneOf: 5))
    func open(_ test: DockerTests.Case) async throws {
        try await ContainerHost.with(test.backend, test.publisher) { host in
            try await host.start()
            let (report, finished) = try await rehearse(host, test, Self.answers)
            #expect(finished.status == 0, "\(finished.errors)")
            #expect(!report.published.isEmpty)
            #expect(report.published.allSatisfy { $0.expected == "accept" && $0.observed == "accept" })
            // The table of the server itself does not say otherwise.
            #expect(
                !report.probes.contains {
                    $0.container == nil && $0.protocol == "tcp" && $0.port == 8080 && $0.observed == "drop"
                })
        }
    }

    @Test("another program's rules in DOCKER-USER are shown, and refuse nothing", arguments: TestBackend.installed)
    func others(_ backend: TestBackend) async throws {
        let test = DockerTests.Case(backend: backend, name: backend.rawValue, publisher: .docker28)
        try await ContainerHost.with(test.backend, test.publisher) { host in
            try await host.start()
            try await host.machine.iptables("-I DOCKER-USER 1 -s 192.168.1.33 -p tcp -j DROP")
            let (report, finished) = try await rehearse(host, test, Self.answers + "docker: answers\n")
            #expect(finished.status == 0, "\(finished.errors)")
            #expect(report.notes.contains { $0.contains("DOCKER-USER -s 192.168.1.33") }, "\(report.notes)")
            #expect(report.published.contains { $0.from == "192.168.1.33" && $0.observed == "drop" })
        }
    }

    private func apply(_ host: ContainerHost, _ test: DockerTests.Case, _ more: String...) async throws -> Finished {
        let file = try host.machine.root.write(Self.answers + "docker: answers\n", to: "published.yaml")
        return try await Latchkey.run(
            ["apply", "--answers", file, "--backend", test.name, "--deadline", "5m", "--detach"] + more,
            root: host.machine.root, in: host.machine.namespace, timeout: .seconds(120))
    }

    /// Keeps the answers, and restarts Docker: its own jump to DOCKER-USER is then ahead of latchkey's rule in FORWARD.
    private func keepAndRestart(_ host: ContainerHost, _ test: DockerTests.Case) async throws {
        try await host.start()
        let begun = try await apply(host, test, "--no-rehearsal")
        #expect(begun.status == 0, "\(begun.errors)")
        #expect(try await host.machine.latchkey("confirm").status == 0)
        try await host.start()
    }

    @Test(
        "an accept ahead of latchkey's rules in DOCKER-USER is shown, and refused if it opens the ports to everyone",
        arguments: TestBackend.installed, [true, false])
    func ahead(_ backend: TestBackend, isForAll: Bool) async throws {
        let test = DockerTests.Case(backend: backend, name: backend.rawValue, publisher: .docker28)
        try await ContainerHost.with(test.backend, test.publisher) { host in
            try await keepAndRestart(host, test)
            let from = isForAll ? "" : "-s 10.8.1.0 "
            try await host.machine.iptables("-I DOCKER-USER 1 \(from)-p tcp -j ACCEPT")
            let before = try await host.machine.rules()
            let (report, rehearsed) = try await rehearse(host, test, Self.answers + "docker: answers\n")
            #expect(rehearsed.status == (isForAll ? 4 : 0), "\(rehearsed.errors)")
            #expect(report.passed != isForAll)
            let opened = report.published.filter { $0.expected == "drop" && $0.observed == "accept" }
            #expect(opened.contains { $0.from == "10.8.1.0" })
            // Where Docker's rule for the container's own packets counts as well, the rule cannot be named.
            #expect(
                opened.allSatisfy { $0.family == "ipv4" && $0.rule?.contains("-A DOCKER-USER") ?? !isForAll },
                "\(opened)")
            #expect((Set(opened.map(\.from)).count > 1) == isForAll)

            let applied = try await apply(host, test)
            let said = applied.errors.replacing(/\s+/, with: " ")
            let packet = "8080/tcp (published, to \(ContainerHost.container4):80) from 10.8.1.0"
            #expect(said.contains("\(packet): expected closed"))
            #expect(applied.status == (isForAll ? 4 : 0), "\(applied.errors)")
            if isForAll { #expect(try await host.machine.rules() == before) }
        }
    }

    @Test("a changed chain of latchkey's is written anew", arguments: TestBackend.installed)
    func changedChain(_ backend: TestBackend) async throws {
        let test = DockerTests.Case(backend: backend, name: backend.rawValue, publisher: .docker28)
        try await ContainerHost.with(test.backend, test.publisher) { host in
            try await keepAndRestart(host, test)
            try await host.machine.iptables("-I latchkey-docker 1 -j RETURN")
            try await host.send(asAdmin: false)
            #expect(try await host.outside.reaches(8080, .ipv4))
            #expect(try await host.machine.status().truth("drift") == true)
            let applied = try await apply(host, test)
            #expect(applied.status == 0, "\(applied.errors)")
            #expect(try await host.outside.reachesByNeither(8080))
            #expect(try await host.machine.latchkey("confirm").status == 0)
            #expect(try await host.outside.reachesByNeither(8080))
            #expect(try await host.machine.status().truth("drift") == false)
        }
    }

    @Test("without published ports there is no such stage", arguments: TestBackend.installed)
    func none(_ backend: TestBackend) async throws {
        let test = DockerTests.Case(backend: backend, name: backend.rawValue, publisher: .docker28)
        try await ContainerHost.with(test.backend, test.publisher) { host in
            let (report, finished) = try await rehearse(host, test, Self.answers + "docker: answers\n")
            #expect(finished.status == 0, "\(finished.errors)")
            #expect(report.published.isEmpty)
        }
    }
}
