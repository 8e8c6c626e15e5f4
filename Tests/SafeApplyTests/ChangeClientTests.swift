import Host
import Testing

@testable import SafeApply

extension GuardTests {
    @Suite("Reports about a change whose guard is busy")
    struct ChangeClientTests {
        @Test(
            "a client that asks a busy guard is never told the outcome before there is one",
            arguments: JournalState.allCases.filter { !$0.isFinal && $0 != .applied })
        func busy(state: JournalState) async throws {
            let bench = try GuardBench()
            let layout = bench.environment.layout
            var journal = Journal(request: try bench.request(), bootID: "boot", supervisor: .process)
            journal.state = state
            try JournalFile(layout: layout).write(journal)
            // The change has an owner that listens, but is too busy to answer.
            let lock = try FileLock.tryAcquire(layout.lock)
            let listener = try UnixListener(path: layout.socket)
            let moved = bench.moved
            let hurry = Task.detached {
                while !Task.isCancelled {
                    moved.passTime(milliseconds: 10_000)
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
            defer { hurry.cancel() }
            let client = ChangeClient(bench.environment)
            await #expect(throws: ChangeError.undecided(id: journal.request.id, state: state)) {
                try await client.revert()
            }
            await #expect(throws: ChangeError.undecided(id: journal.request.id, state: state)) {
                try await client.confirm(sameConnection: true)
            }
            withExtendedLifetime((lock, listener)) {}
        }

        @Test("a request whose guard dies goes to the next guard")
        func guardDies() async throws {
            let bench = try GuardBench()
            let layout = bench.environment.layout
            var journal = Journal(request: try bench.request(), bootID: "boot", supervisor: .process)
            journal.state = .applied
            try JournalFile(layout: layout).write(journal)
            let locks = try [layout.lock, layout.supervisorLock].map { try FileLock.tryAcquire($0) }
            let first = try Inbox(layout)
            let reverts = Task.detached { [journal] in
                var journal = journal
                var inbox = first
                var reverts = 0
                while !Task.isCancelled, journal.state != .reverted {
                    for message in inbox.next(milliseconds: 20) {
                        if message.request.verb == .revert {
                            reverts += 1
                            if reverts == 1 {
                                // Its socket and every connection end with it.
                                inbox = try Inbox(layout)
                                break
                            }
                            journal.state = .reverted
                        }
                        let status = ChangeStatus(journal, now: BootInstant(nanoseconds: 0), guardPID: 1)
                        message.send(GuardReply(answer: .done, text: "", status: status))
                    }
                }
                return reverts
            }
            let status = try await ChangeClient(bench.environment).revert()
            #expect(status.state == .reverted)
            #expect(try await reverts.value == 2)
            withExtendedLifetime(locks) {}
        }
    }
}
