import TestSupport
import Testing

@Suite("More time for a pending change", .kernel, .inTurn)
struct ExtendTests {
    @Test("extend counts from now, uses the first deadline by default, and never shortens the time")
    func extend() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            let before = try await machine.rules()
            try await machine.begin(.keep, deadline: "60s")
            #expect(try await extended(machine, "5m") == 300)
            // A shorter time than what is left changes nothing.
            #expect(try await extended(machine, "10s") > 240)
            #expect(try await extended(machine) > 240)
            try await machine.expectPending(on: before)
            #expect(try await machine.latchkey("revert").status == 0)

            try await machine.begin(.keep, deadline: "30s")
            try await Task.sleep(for: .milliseconds(2_500))
            let left = try #require(try await machine.status().number("secondsLeft"))
            #expect(left < 29)
            #expect(try await extended(machine) > left)
            #expect(try await machine.latchkey("revert").status == 0)
        }
    }

    @Test("the previous rules are active when the longer deadline passes, not before", arguments: Case.crossed)
    func later(_ test: Case) async throws {
        try await Machine.withOutside(test.backend) { machine, outside in
            let before = try await machine.rules()
            async let outcome = machine.apply(test.existing, "--deadline", "10s")
            _ = try await machine.pending()
            #expect(try await extended(machine, "20s") > 15)
            try await Task.sleep(for: .seconds(11))
            #expect(try await machine.status().text("state") == "pending")
            #expect(try await outside.reachesByNeither(7))
            try await until("the longer deadline", within: .seconds(15)) { machine.namespace.areGateListsEmpty }
            #expect(try await outside.reachesByBoth(7))
            #expect(try await outcome.status == 3)
            try await machine.expectBack(before)
        }
    }

    @Test("an hour after the change began is the limit")
    func limit() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await machine.begin(.keep, deadline: "10s")
            try await Task.sleep(for: .milliseconds(3_500))
            #expect((3_580...3_597).contains(try await extended(machine, "1h")))
            let said = try await machine.latchkey("extend", "5m")
            #expect(said.status == 0 && said.errors.contains("s left"), "\(said.errors)")
            #expect(said.errors.contains("The deadline was later than that already"), "\(said.errors)")
            let most = try await machine.latchkey("extend", "1h")
            #expect(most.errors.contains("A change stays pending for at most one hour."), "\(most.errors)")
            #expect(try await machine.latchkey("revert").status == 0)
        }
    }

    @Test("without a pending change it exits with 6, without a valid duration with 64, and changes nothing")
    func refused() async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            let idle = try await machine.latchkey("extend", "--json")
            #expect(idle.status == 6, "\(idle.errors)")
            #expect(try JSON(idle).text("outcome") == "refused")
            for text in ["soon", "5x", "9s", "2h", "-60"] {
                let bad = try await machine.latchkey("extend", text)
                #expect(bad.status == 64, "\(text): \(bad.errors)")
            }
            #expect(try await machine.rules() == Machine.none)
            try await machine.begin(.keep)
            #expect(try await machine.latchkey("extend", "soon").status == 64)
            #expect(try await machine.latchkey("revert").status == 0)
            #expect(try await machine.latchkey("extend").status == 6)
        }
    }

    /// Asks for more time, and returns how many seconds are left then.
    private func extended(_ machine: Machine, _ words: String...) async throws -> Int {
        let finished = try await Latchkey.run(
            ["extend"] + words + ["--json"], root: machine.root, in: machine.namespace)
        #expect(finished.status == 0, "\(finished.errors)")
        #expect(try JSON(finished).text("outcome") == "pending")
        return try #require(try await machine.status().number("secondsLeft"))
    }
}
