import Netfilter
import Rehearsal
import TestSupport
import Testing

@Suite("The tutorial, line by line", .kernel, .inTurn)
struct TutorialTests {
    @Test(
        "each line's part of the plan exists, accepts what it allows and blocks the rest",
        arguments: TestBackend.installed, Family.allCases)
    func lines(backend: TestBackend, family: Family) async throws {
        let stage = try await openWithListeners()
        defer { stage.close() }
        let all = Tutorial.lines.flatMap { $0.allowed + $0.refused }

        // The control: without rules every packet is accepted, including those that are blocked later.
        let open = try await stage.try(all, family)
        for trial in all { #expect(open[trial] == trial.outcome, "without rules: \(trial)") }

        try await stage.run(
            [backend.tool(family.forTests, "restore"), "--counters", "-w", "5"], input: Tutorial.remnants)
        let undone = Tutorial.lines.filter(\.undoesRemnants)
        let before = try await stage.try(undone.flatMap { $0.allowed + $0.refused }, family)
        for line in undone {
            for trial in line.allowed { #expect(before[trial] != trial.outcome, "before: \(trial)") }
            for trial in line.refused { #expect(before[trial] == trial.outcome, "before: \(trial)") }
        }

        try await stage.load(TutorialPlan.rules(family), family, backend)
        let saved = try await stage.run([backend.tool(family.forTests, "save"), "--counters"])
        let dump = try RuleSet(parsing: saved, file: "dump")
        #expect(dump.normalized() == (try RuleSet(parsing: TutorialPlan.rules(family), file: "plan")).normalized())

        let seen = try await stage.try(all, family)
        for line in Tutorial.lines {
            #expect(line.fulfilment.isFulfilled(in: dump), "\(line.text)")
            for trial in line.allowed { #expect(seen[trial] == trial.outcome, "\(line.text): \(trial)") }
            for trial in line.refused { #expect(seen[trial] == .silent, "\(line.text): \(trial)") }
        }
    }

    @Test("without its rule, traffic allowed by a line is blocked", arguments: Family.allCases)
    func eachRuleCounts(family: Family) async throws {
        let stage = try await openWithListeners()
        defer { stage.close() }
        var tried: Set<TutorialLine.Fulfilment> = []
        for line in Tutorial.lines where tried.insert(line.fulfilment).inserted {
            guard try TutorialPlan.rules(family).split(separator: "\n").contains(where: line.fulfilment.isRule) else {
                continue
            }
            let lines = Tutorial.lines.filter { $0.fulfilment == line.fulfilment }
            let rules = try TutorialPlan.rules(family, without: line.fulfilment.isRule)
            try await stage.load(rules, family, TestBackend.installed[0])
            let seen = try await stage.try(lines.flatMap(\.allowed), family, patience: .milliseconds(250))
            for line in lines {
                for trial in line.allowed where !Self.isLetInOtherwise(trial, family) {
                    #expect(seen[trial] == .silent, "without '\(line.fulfilment)': \(trial)")
                }
            }
        }
        #expect(tried.count > 10)
    }

    /// ICMPv6 errors have their own rule: RFC 4890 section 4.3.1 requires that they are always accepted.
    private static func isLetInOtherwise(_ trial: Trial, _ family: Family) -> Bool {
        family == .ipv6 && trial.outcome == .refused
    }

    private func openWithListeners() async throws -> Stage {
        let stage = try await Scene.open()
        let loopback = try ["127.0.0.1", "::1"].map(IPAddress.init(parsing:))
        try await stage.listen(
            in: .server, tcp: Tutorial.tcpListeners, udp: Tutorial.udpListeners,
            on: Family.allCases.map(Scene.server) + loopback)
        try await stage.listen(
            in: .outside, tcp: Tutorial.outsideTCP, udp: Tutorial.outsideUDP, on: Family.allCases.map(Scene.other))
        return stage
    }
}

extension Stage {
    /// Runs all trials at once, from both places.
    func `try`(
        _ trials: [Trial], _ family: Family, patience: Duration = .milliseconds(500)
    ) async throws -> [Trial: ProbeOutcome] {
        let trials = Array(Set(trials))
        async let inward = answers(trials.filter(\.isFromOutside), from: .outside, family, patience)
        async let outward = answers(trials.filter { !$0.isFromOutside }, from: .server, family, patience)
        return try await inward.merging(outward) { $1 }
    }

    private func answers(
        _ trials: [Trial], from place: Place, _ family: Family, _ patience: Duration
    ) async throws -> [Trial: ProbeOutcome] {
        let results = try await probe(trials.map { try $0.probe(family) }, from: place, patience: patience)
        return Dictionary(uniqueKeysWithValues: zip(trials, results.map(\.outcome)))
    }
}

extension Trial {
    var isFromOutside: Bool { origin == .stranger || origin == .admin }

    func probe(_ family: Family) throws -> Probe {
        let server = try Scene.server(family)
        let stranger = try Scene.stranger(family)
        let loopback = try IPAddress(parsing: family == .ipv4 ? "127.0.0.1" : "::1")
        let (source, target) =
            switch origin {
            case .stranger: (stranger, server)
            case .admin: (try Scene.admin(family), server)
            case .server: (server, try Scene.other(family))
            case .loopback: (loopback, loopback)
            }
        return Probe(kind, from: source, to: target, port: port, sourcePort: sourcePort)
    }
}
