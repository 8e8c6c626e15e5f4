import Glibc
import TestSupport
import Testing

/// A change from one iptables backend to the other.
@Suite("From one iptables backend to the other", .kernel, .inTurn)
struct IPTablesSwitchTests {
    /// What an answers file says: one open port besides SSH.
    private static func answers(open port: Int, _ existing: Existing) -> String {
        """
        version: 1
        admins: []
        ssh: { ports: [22], from: everyone }
        ports: [\(port)/tcp]
        existing: \(existing.rawValue)

        """
    }

    private static func apply(
        _ machine: Machine, _ backend: TestBackend, open port: Int, _ existing: Existing, _ more: String...
    ) async throws -> Finished {
        let file = try machine.root.write(answers(open: port, existing), to: "switch.yaml")
        return try await Latchkey.run(
            ["apply", "--answers", file, "--backend", backend.rawValue, "--detach", "--deadline", "5m"] + more,
            root: machine.root, in: machine.namespace, timeout: .seconds(90))
    }

    private static func dump(_ machine: Machine, _ backend: TestBackend) async throws -> String {
        var all = ""
        for family in IPFamily.allCases {
            all += EarlierRules.withoutEmptyTables(try await machine.namespace.dump(family, backend))
        }
        return all
    }

    private static func expect(
        only port: Int, not other: Int, from outside: NetworkNamespace, at location: SourceLocation = #_sourceLocation
    ) async throws {
        #expect(try await outside.reachesByBoth(port), "\(port) is open", sourceLocation: location)
        #expect(try await outside.reachesByBoth(22), "SSH is open", sourceLocation: location)
        #expect(try await outside.reachesByNeither(other), "\(other) is closed", sourceLocation: location)
    }

    @Test(
        "the kept rules of the other backend decide again after a rollback, and go with the keep",
        arguments: TestBackend.installed, Existing.allCases)
    func switching(earlier: TestBackend, existing: Existing) async throws {
        guard let new = TestBackend.installed.first(where: { $0 != earlier }) else { return }
        try await Machine.withOutside(earlier) { machine, outside in
            NFTablesTests.expectDone(
                try await Self.apply(machine, earlier, open: 2200, existing, "--no-rehearsal"))
            NFTablesTests.expectDone(try await machine.latchkey("confirm"))
            let before = try await Self.dump(machine, earlier)
            let besides = try await Self.dump(machine, new)

            // In the window both are loaded; a new guard, which has only the snapshot, puts both back.
            NFTablesTests.expectDone(try await Self.apply(machine, new, open: 80, existing))
            try await Self.expect(only: 80, not: 2200, from: outside)
            #expect(try await machine.status().text("backend") == new.rawValue)
            #expect(try await machine.status().truth("drift") == false)
            let guardian = try #require(machine.processes("guard").first)
            kill(guardian, SIGKILL)
            try await until("another guard runs") { machine.processes("guard").contains { $0 != guardian } }
            try await Self.expect(only: 80, not: 2200, from: outside)
            NFTablesTests.expectDone(try await machine.latchkey("revert"))
            try await Self.expect(only: 2200, not: 80, from: outside)
            #expect(try await Self.dump(machine, earlier) == before)
            #expect(try await Self.dump(machine, new) == besides)

            NFTablesTests.expectDone(try await Self.apply(machine, new, open: 80, existing))
            NFTablesTests.expectDone(try await machine.latchkey("confirm"))
            try await Self.expect(only: 80, not: 2200, from: outside)
            #expect(try await !Self.dump(machine, earlier).contains("latchkey"))
            let status = try await machine.status()
            #expect(status.text("backend") == new.rawValue)
            #expect(status.truth("drift") == false)

            // The next boot loads them into the new backend alone.
            let fresh = try await NetworkNamespace()
            defer { fresh.close() }
            NFTablesTests.expectDone(try await BootTests().boot(machine, in: fresh))
            #expect(try await fresh.dump(.ipv4, new).contains("latchkey"))
            #expect(try await fresh.dump(.ipv6, new).contains("latchkey"))
            #expect(try await !fresh.dump(.ipv4, earlier).contains("latchkey"))

            // And back, by the snapshot.
            let id = try #require(status.text("snapshot"))
            NFTablesTests.expectDone(
                try await machine.latchkey("snapshots", "restore", id, "--no-rehearsal", "--detach", "--deadline", "5m")
            )
            try await Self.expect(only: 2200, not: 80, from: outside)
            NFTablesTests.expectDone(try await machine.latchkey("confirm"))
            try await Self.expect(only: 2200, not: 80, from: outside)
            #expect(try await Self.dump(machine, earlier) == before)
            #expect(try await !Self.dump(machine, new).contains("latchkey"))
        }
    }

    @Test(
        "a guard that takes over in the middle of keeping puts the rules of both backends back if it cannot go on",
        arguments: TestBackend.installed)
    func halfKept(earlier: TestBackend) async throws {
        guard let new = TestBackend.installed.first(where: { $0 != earlier }) else { return }
        try await Machine.withOutside(earlier) { machine, outside in
            // The new backend has rules of its own, which are not those of the other one.
            for family in IPFamily.allCases {
                try await machine.namespace.restore(
                    "*filter\n:FORWARD ACCEPT\n-A FORWARD -p tcp --dport 9999 -j DROP\nCOMMIT\n", family, new)
            }
            NFTablesTests.expectDone(
                try await Self.apply(machine, earlier, open: 2200, .keep, "--no-rehearsal"))
            NFTablesTests.expectDone(try await machine.latchkey("confirm"))
            let (before, besides) = (try await Self.dump(machine, earlier), try await Self.dump(machine, new))
            // The new rules are loaded for good when the guard dies; the next one cannot remove the earlier rules.
            let (guardian, calls) = ("\(machine.root.path)/guard", "\(machine.root.path)/calls")
            try await FakeTool.ip6tablesRestore(
                """
                if [ -e \(guardian) ]; then
                    echo >> \(calls)
                    case $(wc -l < \(calls)) in
                        1) kill -KILL $(cat \(guardian)); exit 1 ;;
                        2 | 3 | 4) echo broken >&2; exit 1 ;;
                    esac
                fi
                """, on: machine)
            NFTablesTests.expectDone(try await Self.apply(machine, new, open: 80, .replace, "--no-rehearsal"))
            try machine.root.write("\(try #require(machine.processes("guard").first))", to: "guard")
            let confirmed = try await machine.latchkey("confirm")
            #expect([1, 6].contains(confirmed.status), "\(confirmed.errors)")
            try await until("the rollback") { try await machine.status().text("state") == "reverted" }
            try await Self.expect(only: 2200, not: 80, from: outside)
            #expect(try await Self.dump(machine, earlier) == before)
            #expect(try await Self.dump(machine, new) == besides)
        }
    }

    @Test("rules in the other backend that are not latchkey's are refused as before", arguments: TestBackend.installed)
    func othersRules(earlier: TestBackend) async throws {
        guard let new = TestBackend.installed.first(where: { $0 != earlier }) else { return }
        try await Machine.with(earlier) { machine in
            NFTablesTests.expectDone(
                try await Self.apply(machine, earlier, open: 2200, .keep, "--no-rehearsal"))
            NFTablesTests.expectDone(try await machine.latchkey("confirm"))
            try await machine.iptables("-I INPUT -p tcp --dport 9999 -j DROP")
            let before = try await Self.dump(machine, earlier)
            let finished = try await Self.apply(machine, new, open: 80, .keep, "--no-rehearsal")
            #expect(finished.status == 1, "\(finished.errors)")
            #expect(finished.errors.contains("both"))
            #expect(try await Self.dump(machine, earlier) == before)
            #expect(try await !Self.dump(machine, new).contains("latchkey"))
        }
    }
}
