import Host
import Testing

@testable import SafeApply

extension GuardTests {
    @Suite("What the guard counts as a new SSH login")
    struct GuardProofTests {
        @Test(
            "while a connection from before the rules waits for sshd, no login is new; afterwards only later ones are")
        func backlog() async throws {
            let bench = try GuardBench()
            bench.connections.setWaiting(true)
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            // Queued connections are served by a process that starts only now.
            bench.connections.setLogin("192.0.2.1", started: bench.environment.clock.now())
            bench.moved.passTime(milliseconds: 2_000)
            let early = try await bench.ask(GuardRequest(.confirm))
            #expect(early.answer == .notFresh)
            #expect(early.text.contains("waits for sshd to accept it"))
            #expect(early.status.freshLogin == nil)
            #expect(early.status.secondsLeft.map { $0 < 60 } == true, "the deadline did not continue")

            bench.connections.setWaiting(false)
            let accepted = try await bench.ask(GuardRequest(.confirm))
            #expect(accepted.answer == .notFresh)
            #expect(accepted.text == "It is older.")
            #expect(accepted.status.freshLogin == nil)

            bench.connections.setLogin("192.0.2.1", started: bench.environment.clock.now().advanced(milliseconds: 500))
            let late = try await bench.ask(GuardRequest(.confirm))
            #expect(late.answer == .done)
            #expect(late.status.state == .persisted)
            #expect(late.text == "Confirmed in a new SSH login from 192.0.2.1.")
            try await serving.value
        }

        @Test("a waiting connection prevents neither the console nor a forced confirmation from keeping the rules")
        func backlogAtConsole() async throws {
            let bench = try GuardBench()
            bench.connections.setWaiting(true)
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            let kept = try await bench.ask(GuardRequest(.confirm))
            #expect(kept.answer == .done)
            #expect(kept.text == "Confirmed at this machine: no new SSH login was tested.")
            try await serving.value
        }

        @Test(
            "if confirmed over the other family, the first family is reported as untested",
            arguments: [
                ("192.0.2.1", "2001:db8::1", "IPv4"), ("2001:db8::1", "192.0.2.1", "IPv6"),
                ("192.0.2.1", "192.0.2.2", nil), (nil, "192.0.2.2", nil),
            ])
        func otherFamily(begunFrom first: String?, confirmedFrom last: String, unproven: String?) async throws {
            let bench = try GuardBench(from: first)
            let serving = bench.serve()
            #expect(try await bench.ask(GuardRequest(.begin)).answer == .done)
            bench.connections.setLogin(last, started: bench.environment.clock.now().advanced(milliseconds: 200))
            let kept = try await bench.ask(GuardRequest(.confirm))
            #expect(kept.answer == .done)
            let note = unproven.map { " A new SSH login over \($0) was not tested." } ?? ""
            #expect(kept.text == "Confirmed in a new SSH login from \(last).\(note)")
            try await serving.value
        }
    }
}
