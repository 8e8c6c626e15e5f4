import Commands
import SafeApply
import Testing

@Suite("Results as JSON")
struct ReportTests {
    @Test("an idle machine reports every key, with null where there is no value")
    func idle() throws {
        #expect(
            try StatusReport(state: .idle, backend: "nft").json() == """
                {"backend":"nft","change":null,"drift":false,"freshConnectionSeen":false,"gate":null,"guard":null,\
                "observing":false,"secondsLeft":null,"snapshot":null,"state":"idle","temporary":[]}

                """)
    }

    @Test("a pending change names its guard, its snapshot and the seconds left")
    func pending() throws {
        let report = StatusReport(
            state: .pending, change: "20260101-120000", secondsLeft: 47,
            guard: .init(pid: 4_711, supervisor: .process), backend: "legacy", snapshot: "20260101-120000", drift: true,
            freshConnectionSeen: true, gate: "recent")
        #expect(
            try report.json() == """
                {"backend":"legacy","change":"20260101-120000","drift":true,"freshConnectionSeen":true,"gate":"recent",\
                "guard":{"pid":4711,"supervisor":"process"},"observing":false,"secondsLeft":47,\
                "snapshot":"20260101-120000","state":"pending","temporary":[]}

                """)
    }

    @Test("a kept change lists the files that were saved for boot")
    func kept() throws {
        let report = ChangeReport(
            outcome: .kept, change: "c", snapshot: "s", reason: "confirmed", verified: true,
            persisted: ["/etc/iptables/rules.v4"])
        #expect(
            try report.json() == """
                {"change":"c","outcome":"kept","persisted":["/etc/iptables/rules.v4"],"reason":"confirmed",\
                "snapshot":"s","verified":true}

                """)
    }

    @Test("a change that was refused before it had a name reports null")
    func refused() throws {
        let report = ChangeReport(outcome: .refused, change: nil, snapshot: nil, reason: "\"x\"", verified: false)
        #expect(
            try report.json() == """
                {"change":null,"outcome":"refused","persisted":[],"reason":"\\"x\\"","snapshot":null,"verified":false}

                """)
    }

    @Test("the words for states, outcomes and supervisors are the documented ones")
    func words() {
        #expect(StatusReport.State.allCases.map(\.rawValue) == ["idle", "pending", "kept", "reverted", "failed"])
        #expect(
            ChangeOutcome.allCases.map(\.rawValue) == [
                "pending", "kept", "reverted", "refused", "failed", "interrupted",
            ])
        #expect(StatusReport.Guard.Supervisor.allCases.map(\.rawValue) == ["systemd", "process"])
    }
}
