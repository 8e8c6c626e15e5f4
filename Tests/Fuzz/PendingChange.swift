import FoundationEssentials
import Glibc

@testable import Host
@testable import Netfilter
@testable import SafeApply

/// A change that waits for its confirmation, in a guard whose rules are text.
struct PendingChange {
    private var machine = TextMachine()
    private var guardian: Guard?

    /// Sends bytes to the guard as a client does, and checks what became of the change.
    mutating func take(_ bytes: [UInt8]) async {
        // A change whose time is nearly over would end by itself.
        if let deadline = guardian?.journal.deadline, machine.clock.now().milliseconds(until: deadline) < 60_000 {
            await end()
        }
        if guardian == nil { await begin() }
        guard var guardian, let client = try? UnixSocket.connect(machine.environment.layout.socket) else {
            fatalError("the guard does not accept a connection")
        }
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
        // The connection repairs text that is not UTF-8.
        let requests = lines.map { Array(String(decoding: $0, as: UTF8.self).utf8) }
            .compactMap { JSONText.decode(GuardRequest.self, from: $0) }
        let before = guardian.journal
        guard send(client.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count,
            shutdown(client.descriptor, Int32(SHUT_WR)) == 0
        else { fatalError("\(bytes.count) bytes cannot be sent") }

        var messages: [GuardRequest] = []
        for _ in 0...lines.count + 1 {
            let next = guardian.inbox.next(milliseconds: 0)
            messages += next.map(\.request)
            await guardian.answer(next)
        }
        guardian.gatekeeper.beat()
        require(messages == requests, "read as \(messages)")
        checkReplies(to: requests, client, guardian.journal)
        check(before, guardian.journal, requests)
        self.guardian = guardian
        if guardian.journal.state.isFinal { await end() }
    }

    /// Every request has an answer, except one that waits for the end of a pending change.
    private func checkReplies(to requests: [GuardRequest], _ client: UnixConnection, _ journal: Journal) {
        var replies = 0
        while case .line(let line) = client.read() {
            require(JSONText.decode(GuardReply.self, from: Array(line.utf8)) != nil, "the reply \(line)")
            replies += 1
        }
        let waiting = requests.count { $0.verb == .wait }
        require((requests.count - waiting...requests.count).contains(replies), "\(replies) replies to \(requests)")
    }

    private func check(_ before: Journal, _ after: Journal, _ requests: [GuardRequest]) {
        let live = try? RuleSet(dumped: machine.rules.current, file: "live").normalized()
        let verbs = Set(requests.map(\.verb))
        switch after.state {
        case .applied:
            guard let earlier = before.deadline, let deadline = after.deadline, let began = after.appliedAt else {
                fatalError("a pending change without a deadline")
            }
            require(deadline >= earlier, "the deadline has moved to an earlier time")
            require(began.milliseconds(until: deadline) <= Int64(Deadline.longest) * 1_000, "the deadline is too late")
        case .persisted:
            require(verbs.contains(.confirm), "kept without a confirmation")
            require(live == TextMachine.plan.normalized(), "kept, but the rules are \(machine.rules.current)")
        case .reverted:
            require(verbs.contains(.revert), "rolled back without a reason: \(after.reason)")
            require(live == RuleSet().normalized(), "rolled back, but the rules are \(machine.rules.current)")
        case .prepared, .armed, .kept, .reverting, .failed:
            fatalError("the state is \(after.state): \(after.reason)")
        }
    }

    // MARK: - From one change to the next

    private mutating func begin() async {
        machine = TextMachine()
        do {
            try machine.prepare()
            guard
                var guardian = try await Guard.own(
                    TextMachine.change, supervisor: .process, in: machine.environment)
            else { fatalError("the change has already ended") }
            await guardian.apply()
            require(guardian.journal.state == .applied, "not applied: \(guardian.journal.reason)")
            machine.clock.isHurrying = false
            self.guardian = guardian
        } catch { fatalError("the change does not begin: \(error)") }
    }

    private mutating func end() async {
        await guardian?.removeLeftover()
        guardian?.gatekeeper.end()
        guardian = nil
        machine.remove()
    }
}
