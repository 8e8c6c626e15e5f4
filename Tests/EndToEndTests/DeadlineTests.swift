import TestSupport
import Testing

@Suite("A change that is not confirmed", .kernel, .inTurn)
struct DeadlineTests {
    @Test("the previous rules are back in all tables and both families, with sets in use", arguments: Case.all)
    func fullStart(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await EarlierRules.makeSets(on: machine)
            try await machine.load(EarlierRules.full)
            let before = try await machine.rules()
            let sets = try await machine.namespace.mustRun(["ipset", "save"])
            let applied = try await expectRevert(on: machine, test.existing)

            try await machine.expectBack(before)
            #expect(try await machine.namespace.mustRun(["ipset", "save"]) == sets)
            #expect(applied.errors.contains("previous rules are active again"))
            let report = try JSON(applied)
            #expect(report.text("outcome") == "reverted")
            #expect(report.truth("verified") == true)

            // A late confirmation reports the outcome of the change.
            let confirmed = try await machine.latchkey("confirm")
            #expect(confirmed.status == 6)
            #expect(confirmed.errors.contains("was already rolled"))
            try await machine.expectBack(before)
        }
    }

    @Test("a machine without rules is as open as before", arguments: Case.all)
    func emptyStart(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            #expect(try await machine.rules() == Machine.none)
            let applied = try await expectRevert(on: machine, test.existing)
            #expect(try await machine.rules() == Machine.none)
            // Everything that the change created is gone, if the kernel can remove it.
            if test.backend == .nft {
                for family in IPFamily.allCases { #expect(try await machine.dump(family) == "") }
            }
            #expect(try JSON(applied).truth("verified") == true)
        }
    }

    /// Applies, and sees the rules come and go: not before ten seconds, and not much later.
    private func expectRevert(on machine: Machine, _ existing: Existing) async throws -> Finished {
        let before = try await machine.rules()
        async let outcome = machine.apply(existing, "--json")
        var lastWithout = ContinuousClock.now
        try await until("the rules", within: .seconds(40)) {
            let now = ContinuousClock.now
            let isThere = try await isInForce(on: machine)
            if !isThere { lastWithout = now }
            return isThere
        }
        // Rules are active before the guard says so and starts counting: that takes at most a few seconds here.
        let status = try await machine.pending()
        let asked = ContinuousClock.now
        let left = try #require(status.number("secondsLeft"))
        #expect((5...10).contains(left))
        #expect(status.text("gate") == "recent")
        #expect(!status.keys.contains("expires"))
        try await machine.expectPending(on: before)
        var lastSeen = ContinuousClock.now
        try await until("the revert", within: .seconds(20)) {
            let now = ContinuousClock.now
            if try await isInForce(on: machine) {
                lastSeen = now
                return false
            }
            return true
        }
        #expect(ContinuousClock.now - lastWithout >= .seconds(10), "reverted before the deadline")
        #expect(lastSeen - asked < .seconds(left + 5), "active long after the deadline")
        let applied = try await outcome
        #expect(applied.status == 3)
        return applied
    }

    private func isInForce(on machine: Machine) async throws -> Bool {
        !machine.namespace.areGateListsEmpty
    }
}
