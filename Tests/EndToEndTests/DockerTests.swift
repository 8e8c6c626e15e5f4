import Foundation
import TestSupport
import Testing

/// Published container ports: `docker: answers` limits them, and `docker: open` leaves them as they are.
@Suite("Published container ports", .kernel, .inTurn)
struct DockerTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let backend: TestBackend
        /// `nft`, `legacy` or `nftables`, as `--backend` takes it.
        let name: String
        let publisher: ContainerHost.Publisher

        var testDescription: String { "\(name), \(publisher)" }

        static let all: [Case] =
            TestBackend.installed.flatMap { backend in
                ContainerHost.Publisher.allCases.map { Case(backend: backend, name: backend.rawValue, publisher: $0) }
            } + ContainerHost.Publisher.allCases.map { Case(backend: .nft, name: "nftables", publisher: $0) }

        /// Those with DOCKER-USER.
        static let iptables = all.filter {
            $0.name != "nftables" && [.docker20, .docker28].contains($0.publisher)
        }
    }

    private static func answers(_ more: String) -> String {
        "version: 1\nadmins: [192.168.1.33, \"2001:db8:5::/64\"]\nservices: [web]\n\(more)\n"
    }

    private static let limited = answers("docker: answers")
    private static let opened = answers("docker: answers\nports: [8080/tcp]")
    private static let asDockerHasIt = answers("docker: open")

    private func begin(_ host: ContainerHost, _ test: Case, _ answers: String, rehearsed: Bool = false) async throws {
        let file = try host.machine.root.write(answers, to: "docker.yaml")
        let words =
            ["apply", "--answers", file, "--backend", test.name, "--deadline", "5m", "--detach"]
            + (rehearsed ? [] : ["--no-rehearsal"])
        let finished = try await Latchkey.run(
            words, root: host.machine.root, in: host.machine.namespace, timeout: .seconds(120))
        #expect(finished.status == 0, "\(finished.errors)")
    }

    private func end(_ host: ContainerHost, _ word: String) async throws {
        let finished = try await host.machine.latchkey(word)
        #expect(finished.status == 0, "\(finished.errors)")
    }

    /// The rules of iptables and latchkey's table: the container program's own tables come back in another order.
    private func rules(_ host: ContainerHost) async throws -> String {
        let table = try await host.machine.namespace.run(["nft", "-s", "list", "table", "inet", "latchkey"]).output
        return try await table + host.machine.rules()
    }

    /// Expects a stranger to be blocked, and an administrator and the container's own connections to pass.
    private func expectLimited(_ host: ContainerHost, at location: SourceLocation = #_sourceLocation) async throws {
        try await host.send(asAdmin: false)
        #expect(try await host.outside.reachesByNeither(8080), "a stranger is blocked", sourceLocation: location)
        try await host.send(asAdmin: true)
        #expect(try await host.outside.reachesByBoth(8080), "an admin is allowed", sourceLocation: location)
        try await host.send(asAdmin: false)
        #expect(try await host.containerGetsReplies(), "replies pass", sourceLocation: location)
    }

    private func expectOpen(_ host: ContainerHost, at location: SourceLocation = #_sourceLocation) async throws {
        try await host.send(asAdmin: false)
        #expect(try await host.outside.reachesByBoth(8080), "a stranger is allowed", sourceLocation: location)
        #expect(try await host.containerGetsReplies(), "replies pass", sourceLocation: location)
    }

    @Test(
        "a stranger is blocked while the change is pending, and not after the revert",
        arguments: Sampled.cases(Case.all, oneOf: 5))
    func revert(_ test: Case) async throws {
        try await ContainerHost.with(test.backend, test.publisher) { host in
            try await host.start()
            let before = try await rules(host)
            try await expectOpen(host)
            try await begin(host, test, Self.limited)
            try await expectLimited(host)
            try await host.start()
            try await expectLimited(host)
            try await end(host, "revert")
            try await expectOpen(host)
            try await until("the end of the pending rules") { try await rules(host) == before }
        }
    }

    @Test(
        "kept, the answers decide across a restart of Docker and a later change",
        arguments: Sampled.cases(Case.all, oneOf: 5))
    func keep(_ test: Case) async throws {
        try await ContainerHost.with(test.backend, test.publisher) { host in
            try await host.start()
            try await begin(host, test, Self.asDockerHasIt)
            try await expectOpen(host)
            try await end(host, "confirm")
            let plain = try await rules(host)
            try await begin(host, test, Self.limited)
            try await end(host, "confirm")
            try await expectLimited(host)
            #expect(try await host.machine.status().truth("drift") == false)
            try await host.start()
            try await expectLimited(host)
            #expect(try await host.machine.status().truth("drift") == false)

            // A later change opens the port; its revert closes it again.
            let kept = try await rules(host)
            try await begin(host, test, Self.opened)
            try await expectOpen(host)
            try await end(host, "revert")
            try await expectLimited(host)
            try await until("the end of the pending rules") { try await rules(host) == kept }
            try await begin(host, test, Self.opened)
            try await end(host, "confirm")
            try await expectOpen(host)

            // Back to Docker's way: nothing of it is left.
            try await begin(host, test, Self.limited)
            try await end(host, "confirm")
            try await begin(host, test, Self.asDockerHasIt)
            try await expectOpen(host)
            try await end(host, "confirm")
            try await expectOpen(host)
            let left = try await rules(host)
            #expect(!left.contains("latchkey-docker") && !left.contains("published ports"))
            #expect(try await host.machine.status().truth("drift") == false)
            if test.publisher != .docker20, test.publisher != .docker28 { #expect(left == plain) }
        }
    }

    @Test(
        "rules kept before Docker starts hold once it has started, at boot too", arguments: Sampled.cases(Case.iptables)
    )
    func before(_ test: Case) async throws {
        try await ContainerHost.with(test.backend, test.publisher) { host in
            try await begin(host, test, Self.limited)
            try await end(host, "confirm")
            try await host.start()
            try await expectLimited(host)
            // The unit runs again while Docker does: nothing is doubled, and others' rules stay.
            try await host.machine.iptables("-I DOCKER-USER 1 -s 203.0.113.9 -j DROP")
            let active = try await rules(host)
            try await runUnit(host)
            #expect(try await rules(host) == active)
            try await expectLimited(host)
            // A boot: nothing is loaded, then the unit runs, then Docker starts.
            for family in IPFamily.allCases {
                for line in ["-F", "-X", "-P FORWARD ACCEPT", "-t nat -F", "-t nat -X"] {
                    try await host.machine.iptables(line, family)
                }
            }
            try await runUnit(host)
            try await host.start()
            try await expectLimited(host)
            #expect(try await host.machine.status().truth("drift") == false)
            // Without Docker, the chain that latchkey made goes with its rules.
            for family in IPFamily.allCases {
                for line in ["-F FORWARD", "-F DOCKER-USER", "-X DOCKER-USER"] {
                    try await host.machine.iptables(line, family)
                }
            }
            try await begin(host, test, Self.limited)
            try await end(host, "confirm")
            try await begin(host, test, Self.asDockerHasIt)
            try await end(host, "confirm")
            #expect(try await !rules(host).contains("DOCKER-USER"))
        }
    }

    private func runUnit(_ host: ContainerHost) async throws {
        let root = host.machine.root
        let lines = try root.read("etc/systemd/system/latchkey-restore.service").split(separator: "\n")
            .filter { $0.hasPrefix("ExecStart=") }.map { $0.dropFirst("ExecStart=".count) }
        let script = lines.map { $0.hasPrefix("-") ? "\($0.dropFirst()) || true" : "\($0) || exit 1" }
            .joined(separator: "\n").replacing("/var/lib/latchkey", with: root.path + "/var/lib/latchkey")
        try await host.machine.namespace.mustRun(["sh", "-c", script])
    }

    @Test(
        "Docker is uninstalled while a change is pending: the revert leaves nothing behind",
        arguments: Sampled.cases(Case.iptables))
    func uninstalled(_ test: Case) async throws {
        try await ContainerHost.with(test.backend, test.publisher) { host in
            try await host.start()
            try await begin(host, test, Self.limited)
            for family in IPFamily.allCases {
                for line in ["-F FORWARD", "-F DOCKER-USER", "-X DOCKER-USER"] {
                    try await host.machine.iptables(line, family)
                }
            }
            try await end(host, "revert")
            try await until("the end of the pending rules") { try await !rules(host).contains("latchkey") }
        }
    }

    @Test(
        "an administrator's rules in DOCKER-USER stay, and hold beside the answers",
        arguments: Sampled.cases(Case.iptables))
    func others(_ test: Case) async throws {
        try await ContainerHost.with(test.backend, test.publisher) { host in
            try await host.start()
            let admin = NamespacePair.bare(NamespacePair.admins, .ipv4)
            try await host.machine.iptables("-I DOCKER-USER 1 -s \(admin) -p tcp -j DROP")
            try await begin(host, test, Self.opened)
            try await host.send(asAdmin: true)
            #expect(try await !host.outside.reaches(8080, .ipv4))
            try await end(host, "confirm")
            #expect(try await !host.outside.reaches(8080, .ipv4))
            #expect(try await host.outside.reaches(8080, .ipv6))
            try await host.send(asAdmin: false)
            #expect(try await host.outside.reachesByBoth(8080))
        }
    }

    @Test("with a rehearsal, a change of both kinds is applied and kept", arguments: TestBackend.installed)
    func rehearsed(_ backend: TestBackend) async throws {
        for name in [backend.rawValue, "nftables"] {
            let test = Case(backend: backend, name: name, publisher: .docker28)
            try await ContainerHost.with(test.backend, test.publisher) { host in
                try await host.start()
                try await begin(host, test, Self.limited, rehearsed: true)
                try await expectLimited(host)
                try await end(host, "confirm")
                try await expectLimited(host)
            }
        }
    }
}
