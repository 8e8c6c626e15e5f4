import Foundation
import TestSupport
import Testing

@Suite("A change that is confirmed", .kernel, .inTurn)
struct KeepTests {
    @Test("confirm and the waiting apply exit with 0, and the plan stays in its permanent form", arguments: Case.all)
    func kept(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await EarlierRules.makeSets(on: machine)
            try await machine.load(EarlierRules.full)
            let before = try await machine.rules()
            async let outcome = machine.apply(test.existing, "--deadline", "1m", "--json")
            _ = try await machine.pending()
            let confirmed = try await machine.latchkey("confirm", "--json")
            let applied = try await outcome
            #expect(confirmed.status == 0, "\(confirmed.errors)")
            #expect(applied.status == 0)
            for report in [try JSON(confirmed), try JSON(applied)] {
                #expect(report.text("outcome") == "kept")
                #expect(report.truth("verified") == true)
            }
            try await expectPlan(test.existing, on: machine)
            for table in ["raw", "mangle"] {
                #expect(EarlierRules.table(table, of: try await machine.rules()) != "")
                #expect(
                    EarlierRules.table(table, of: before) == EarlierRules.table(table, of: try await machine.rules()))
            }
            // A kept change cannot be confirmed or reverted again, and stays active.
            let after = try await machine.rules()
            #expect(try await machine.latchkey("confirm").status == 6)
            #expect(try await machine.latchkey("revert").status == 6)
            #expect(try await machine.rules() == after)
        }
    }

    @Test(
        "kept rules have no gate, no chain of the pending form and no kernel list left", arguments: Case.all)
    func permanent(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await machine.begin(test.existing)
            #expect(try await machine.rules().contains("-m recent --rcheck"))
            #expect(try await machine.status().text("gate") == "recent")
            let confirmed = try await machine.latchkey("confirm")
            #expect(confirmed.status == 0)
            let said = confirmed.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(said.contains("Confirmed at this machine: no new SSH login was tested."))
            try await machine.expectNoGate()
            let rules = try await machine.rules()
            #expect(!rules.contains("pending") && !rules.contains("recent"))
            let policy = test.existing == .keep ? ":INPUT ACCEPT" : ":INPUT DROP"
            #expect(rules.components(separatedBy: policy).count == 3)
            #expect(try await machine.status().kinds["gate"] == "null")
        }
    }

    @Test(
        "with keep, INPUT's policy stays unchanged, and the last rule drops", arguments: TestBackend.installed,
        ["ACCEPT", "DROP"])
    func policy(_ backend: TestBackend, _ policy: String) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            for family in IPFamily.allCases { try await machine.iptables("-P INPUT \(policy)", family) }
            try await machine.begin(.keep)
            #expect(try await machine.latchkey("confirm").status == 0)
            for family in IPFamily.allCases {
                let live = try await machine.dump(family)
                #expect(live.contains(":INPUT \(policy)"))
                let input = EarlierRules.chain("INPUT", in: "filter", of: live)
                #expect(input.last == #"-A INPUT -m comment --comment "latchkey: drop all else" -j DROP"#)
            }
            #expect(try await outside.reachesByBoth(80))
            #expect(try await outside.reachesByNeither(7))
            // A flush by another program has the same effect as before.
            for family in IPFamily.allCases { try await machine.iptables("-F INPUT", family) }
            if policy == "ACCEPT" { #expect(try await outside.reachesByBoth(7)) }
        }
    }

    @Test("the answers are stored for root only and mean the same", arguments: Existing.allCases)
    func answers(_ existing: Existing) async throws {
        try await Machine.with(TestBackend.installed[0]) { machine in
            try await machine.begin(existing)
            let stored = "\(machine.root.path)/etc/latchkey/answers.yaml"
            #expect(!FileManager.default.fileExists(atPath: stored), "nothing is stored before the change is kept")
            #expect(try await machine.latchkey("confirm").status == 0)
            #expect(try mode(of: stored) == 0o600)
            for family in IPFamily.allCases {
                let plan = ["plan", "--family", family.rawValue]
                let given = try await Latchkey.run(
                    plan + ["--answers", "\(machine.root.path)/\(existing).yaml"], root: machine.root)
                // Without --answers the stored ones are read.
                let again = try await Latchkey.run(plan, root: machine.root)
                #expect(given.status == 0 && again.status == 0)
                #expect(given.output == again.output)
            }
            // Applying the same answers again is a normal change.
            let next = try await machine.latchkey(
                "apply", "--detach", "--no-rehearsal", "--backend", machine.backend.rawValue)
            #expect(next.status == 0, "\(next.errors)")
            #expect(try await machine.latchkey("revert").status == 0)
            try await expectPlan(existing, on: machine)
        }
    }

    @Test("status reports differences from the kept rules", arguments: Case.all)
    func drift(_ test: Case) async throws {
        try await Machine.with(test.backend) { machine in
            try await machine.begin(test.existing)
            #expect(try await machine.latchkey("confirm").status == 0)
            let kept = try await machine.status()
            #expect(kept.text("state") == "kept")
            #expect(kept.truth("drift") == false)
            try await machine.iptables("-I INPUT 3 -p tcp --dport 4444 -j ACCEPT")
            #expect(try await machine.status().truth("drift") == true)
            try await machine.iptables("-D INPUT -p tcp --dport 4444 -j ACCEPT")
            #expect(try await machine.status().truth("drift") == false)
            // Only with "replace" the policy is latchkey's.
            try await machine.iptables("-P INPUT \(test.existing == .keep ? "DROP" : "ACCEPT")", .ipv6)
            #expect(try await machine.status().truth("drift") == (test.existing == .replace))
            try await machine.iptables("-D INPUT 1", .ipv6)
            #expect(try await machine.status().truth("drift") == true)
        }
    }

    private func mode(of path: String) throws -> Int? {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return (attributes[.posixPermissions] as? NSNumber)?.intValue
    }
}

/// Expects exactly the output of `latchkey plan` to be active, after other programs' jumps.
func expectPlan(_ existing: Existing, on machine: Machine) async throws {
    for family in IPFamily.allCases {
        let words = ["plan", "--family", family.rawValue, "--answers", "\(machine.root.path)/\(existing).yaml"]
        let plan = Dump.withoutCounters(try await Latchkey.run(words, root: machine.root).output)
        let live = try await machine.dump(family)
        #expect(!PendingRules.areIn(live))
        switch existing {
        case .replace:
            #expect(live.contains(":INPUT DROP"))
            #expect(plan.contains("*nat"))
            for table in ["filter", "nat"] {
                let (own, wanted) = (EarlierRules.table(table, of: live), EarlierRules.table(table, of: plan))
                // An empty table may be missing.
                #expect(EarlierRules.withoutEmptyTables(own) == EarlierRules.withoutEmptyTables(wanted))
            }
        case .keep:
            #expect(plan.contains("latchkey: drop all else"))
            let input = EarlierRules.chain("INPUT", in: "filter", of: live)
            let owned = input.drop { !$0.contains("latchkey: ") }
            #expect(!owned.isEmpty)
            #expect(Array(owned) == EarlierRules.chain("INPUT", in: "filter", of: plan))
            #expect(
                input.dropLast(owned.count).allSatisfy { $0.hasSuffix(" -j f2b-sshd") || $0.hasSuffix("odd-chain.1") })
        }
    }
}
