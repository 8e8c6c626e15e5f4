import TestSupport
import Testing

/// Rules of firewall managers that are not active: they are named, with a remedy that works.
@Suite("Leftovers of firewall managers", .kernel, .inTurn)
struct LeftoverTests {
    /// Rules of one manager in one of iptables' backends.
    struct Case: Sendable, CustomTestStringConvertible {
        let leftover: Leftover
        let backend: TestBackend

        static let all = Leftover.allCases.flatMap { leftover in
            TestBackend.installed.map { Case(leftover: leftover, backend: $0) }
        }

        var testDescription: String { "\(leftover), \(backend)" }
    }

    @Test(
        "rules of iptables are named, and go with \"existing: replace\"", arguments: Sampled.cases(Case.all, oneOf: 2))
    func chains(_ test: Case) async throws {
        let (name, backend) = (test.leftover.rawValue, test.backend)
        try await Machine.with(backend) { machine in
            try await machine.namespace.restore(test.leftover.rules, .ipv4, backend)
            let found = try #require(try await doctor(machine, backend.rawValue, about: name))
            #expect(found.contains("only leftovers. It is not active, but its rules stay loaded"))
            #expect(found.contains("-> Apply your answers with \"existing: replace\""))
            let kept = try await rehearse(machine, backend.rawValue, .keep)
            #expect(kept.contains("Only leftovers of \(name): It is not active"), "\(kept)")
            #expect(try await !rehearse(machine, backend.rawValue, .replace).contains("leftovers"))

            try await machine.begin(.replace)
            #expect(try await machine.latchkey("confirm").status == 0)
            #expect(try await doctor(machine, backend.rawValue, about: name) == nil)
            #expect(try await !rehearse(machine, backend.rawValue, .keep).contains("leftovers"))
        }
    }

    @Test("with nftables, which cannot remove rules of iptables, the remedy is a reboot")
    func chainsBesideTable() async throws {
        try await Machine.with(.nft) { machine in
            try await machine.namespace.restore(Leftover.csf.rules, .ipv4, .nft)
            let found = try #require(try await doctor(machine, "nftables", about: "csf"))
            #expect(found.contains("-> First apply and keep your answers (with --no-rehearsal"))
            #expect(found.hasSuffix("and then reboot."))
        }
    }

    @Test("the wizard's review names them")
    func review() async throws {
        let backend = try #require(TestBackend.installed.first)
        try await Machine.with(backend) { machine in
            try await machine.namespace.restore(Leftover.csf.rules, .ipv4, backend)
            let session = try await WizardSession(
                ["--backend", backend.rawValue], on: machine.namespace, root: machine.root)
            try await session.reach(.existing)
            try await session.pty.line("")
            try await session.pty.expect("Only leftovers of csf: It is not active", within: .seconds(20))
            try await session.pty.expect("quit [edit 2] > ", within: .seconds(30))
            try await session.pty.line("quit")
        }
    }

    @Test(
        "a table of nftables is named with either backend; the command that is printed removes it",
        arguments: TestBackend.installed.map(\.rawValue) + ["nftables"], Existing.allCases)
    func table(backend: String, existing: Existing) async throws {
        guard backend != "nftables" || existing == .keep else { return }
        try await Machine.withOutside(TestBackend(rawValue: backend) ?? .nft) { machine, outside in
            try await machine.nft(Leftover.firewalldTable)
            #expect(try await rehearse(machine, backend, existing).contains("Only leftovers of firewalld"))
            let begun = try await Latchkey.run(
                apply(machine, existing, backend), root: machine.root, in: machine.namespace, timeout: .seconds(90))
            #expect(begun.status == 0, "\(begun.errors)")
            #expect(try await machine.latchkey("confirm").status == 0)
            #expect(try await outside.reachesByNeither(9090))

            let found = try #require(try await doctor(machine, backend, about: "firewalld"))
            let remedy = try #require(found.firstMatch(of: /and then run: sudo (nft .*)$/)?.1)
            try await machine.namespace.mustRun(["sh", "-c", String(remedy)])
            #expect(try await doctor(machine, backend, about: "firewalld") == nil)
            #expect(try await outside.reachesByBoth(80))
            #expect(try await outside.reachesByNeither(9090))
        }
    }

    // MARK: - What is said

    /// What `doctor` says about a program, on one line; nil if it says nothing.
    private func doctor(_ machine: Machine, _ backend: String, about name: String) async throws -> String? {
        let said = try await machine.latchkey("doctor", "--backend", backend).output
        let lines = said.split(separator: "\n")
        guard let first = lines.firstIndex(where: { $0.hasPrefix("warning  \(name) ") }) else { return nil }
        let rest = lines[(first + 1)...].prefix { $0.hasPrefix(" ") }
        return ([lines[first]] + rest).joined(separator: " ").replacing(/\s+/, with: " ")
    }

    /// What `rehearse` says beside its table, on one line.
    private func rehearse(_ machine: Machine, _ backend: String, _ existing: Existing) async throws -> String {
        try await machine.latchkey(
            "rehearse", "--answers", answers(machine, existing), "--backend", backend
        ).errors.replacing(/\s+/, with: " ")
    }

    private func answers(_ machine: Machine, _ existing: Existing) -> String {
        "\(machine.root.path)/\(existing.rawValue).yaml"
    }

    private func apply(_ machine: Machine, _ existing: Existing, _ backend: String) -> [String] {
        ["apply", "--detach", "--no-rehearsal", "--deadline", "5m", "--backend", backend, "--answers"]
            + [answers(machine, existing)]
    }
}
