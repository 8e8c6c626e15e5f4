import Host
import TestSupport
import Testing

@testable import SafeApply

@Suite("The guard's socket")
struct InboxTests {
    /// An inbox and clients that have connected to it.
    private struct Bench {
        private let folder: TemporaryFolder
        let layout: Layout
        var inbox: Inbox
        var clients: [UnixConnection] = []

        init() throws {
            folder = try TemporaryFolder()
            layout = Layout(root: folder.path)
            try SecureFiles.makeFolder(layout.run)
            inbox = try Inbox(layout)
        }

        /// Connects a client that sends requests, and returns what the inbox reads.
        mutating func send(_ verbs: GuardRequest.Verb...) throws -> [Inbox.Message] {
            let client = try #require(try UnixSocket.connect(layout.socket))
            clients.append(client)
            client.send(verbs.map { JSONText.encode(GuardRequest($0)) }.joined(separator: "\n"))
            return verbs.flatMap { _ in inbox.next(milliseconds: 0) }
        }

        mutating func wait() throws { for message in try send(.wait) { inbox.hold(message) } }
    }

    private func status(_ bench: Bench) throws -> ChangeStatus {
        let request = ChangeRequest(
            id: "20260101-000000", scope: .tables, rules: PerFamily(ipv4: ""), backend: .nft, deadlineSeconds: 60,
            requester: Requester(user: "ada", address: nil), sshPorts: [22], admins: [], answers: nil, persists: false)
        let journal = Journal(request: request, bootID: "boot", supervisor: .process)
        return ChangeStatus(journal, now: BootInstant(nanoseconds: 0), guardPID: 1)
    }

    @Test("the most clients that may wait are all told the outcome, and one more takes the place of the oldest")
    func limit() throws {
        var bench = try Bench()
        for _ in 0..<Inbox.maxConnections { try bench.wait() }
        #expect(bench.clients.allSatisfy { $0.read() == .notYet }, "a waiting client was dropped too early")
        try bench.wait()
        #expect(bench.clients[0].read() == .closed)

        let held = bench.inbox.takeHeld()
        #expect(held.count == Inbox.maxConnections)
        let reply = GuardReply(answer: .done, text: "", status: try status(bench))
        for message in held { message.send(reply) }
        for client in bench.clients.dropFirst() {
            guard case .line = client.read() else { return #expect(Bool(false), "a client was not told the outcome") }
        }
    }

    @Test("as many waiting clients as the guard accepts do not keep a confirmation out")
    func confirmation() throws {
        var bench = try Bench()
        for _ in 0..<(2 * Inbox.maxConnections) { try bench.wait() }
        #expect(try bench.send(.confirm).map(\.request.verb) == [.confirm])
    }

    @Test("a client that asks twice to wait is told the outcome once")
    func twice() throws {
        var bench = try Bench()
        for message in try bench.send(.wait, .wait) { bench.inbox.hold(message) }
        #expect(bench.inbox.takeHeld().count == 1)
    }

    @Test("requests that arrive together are all read without waiting for another event")
    func together() throws {
        var bench = try Bench()
        let client = try #require(try UnixSocket.connect(bench.layout.socket))
        client.send([GuardRequest(.status), GuardRequest(.revert)].map(JSONText.encode).joined(separator: "\n"))
        let start = BootClock.system.now()
        let verbs = (1...2).flatMap { _ in bench.inbox.next(milliseconds: 20_000) }.map(\.request.verb)
        #expect(verbs == [.status, .revert])
        #expect(start.milliseconds(until: BootClock.system.now()) < 10_000)
    }

    @Test("another event ends the wait for a request")
    func event() throws {
        var bench = try Bench()
        let event = WakeUp()
        event.send()
        let start = BootClock.system.now()
        #expect(bench.inbox.next(milliseconds: 20_000, or: [event.descriptor]).isEmpty)
        #expect(start.milliseconds(until: BootClock.system.now()) < 10_000)
    }
}
