import TestSupport
import Testing

@Suite("One change at a time", .kernel, .inTurn)
struct RevertTests {
    @Test("revert exits with 0, the waiting apply with 3, and the previous rules are back", arguments: Case.all)
    func reverted(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await machine.load(EarlierRules.filterWithoutSets)
            let before = try await machine.rules()
            async let outcome = machine.apply(test.existing, "--deadline", "5m", "--json")
            _ = try await machine.pending()
            try await machine.expectPending(on: before)
            let reverted = try await machine.latchkey("revert", "--json")
            #expect(reverted.status == 0)
            try await machine.expectBack(before)
            let applied = try await outcome
            #expect(applied.status == 3)
            for report in [try JSON(reverted), try JSON(applied)] {
                #expect(report.text("outcome") == "reverted")
                #expect(report.truth("verified") == true)
                #expect(report.texts("persisted") == [])
            }
            #expect(try await machine.latchkey("revert").status == 6)
            #expect(try await machine.latchkey("confirm").status == 6)
        }
    }

    @Test("while one change is pending another is refused with 5, waiting or not", arguments: TestBackend.installed)
    func second(_ backend: TestBackend) async throws {
        try await Machine.with(backend) { machine in
            try await machine.begin(.keep)
            let pending = try await machine.rules()
            let change = try await machine.status().text("change")
            let waiting = try await machine.apply(.replace, "--json")
            #expect(waiting.status == 5)
            #expect(try JSON(waiting).text("outcome") == "refused")
            #expect(try JSON(waiting).text("change") == change)
            #expect(try await machine.apply(.replace, "--detach").status == 5)
            #expect(try await machine.rules() == pending)
            #expect(try await machine.status().text("change") == change)
            #expect(try await machine.latchkey("revert").status == 0)
            // Now another change is possible.
            try await machine.begin(.replace)
            #expect(try await machine.latchkey("revert").status == 0)
        }
    }

    @Test("of several changes started at the same moment one is applied and the others are refused")
    func together() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            let statuses = try await withThrowingTaskGroup(of: Int32.self) { group in
                for _ in 1...4 {
                    group.addTask { try await machine.apply(.keep, "--detach", "--deadline", "5m").status }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.sorted() == [0, 5, 5, 5])
            #expect(try await machine.status().text("state") == "pending")
            #expect(try await machine.latchkey("revert").status == 0)
        }
    }

    @Test("of confirm and revert at the same moment one wins, and both report which", arguments: 1...3)
    func race(_ round: Int) async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            async let outcome = machine.apply(.keep, "--deadline", "5m")
            _ = try await machine.pending()
            async let confirming = machine.latchkey("confirm")
            async let reverting = machine.latchkey("revert")
            let (confirmed, reverted) = (try await confirming.status, try await reverting.status)
            let applied = try await outcome.status
            let isKept = try await machine.rules().contains("latchkey: ssh")
            if isKept {
                #expect([confirmed, reverted, applied] == [0, 6, 0])
            } else {
                #expect([confirmed, reverted, applied] == [6, 0, 3])
            }
        }
    }
}
