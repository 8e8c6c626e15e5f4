import Host
import Logging
import Netfilter

/// What proves to the guard that new logins get in, and what does not.
extension Guard {
    /// How long it waits for connections that began under the old rules to be accepted, in milliseconds.
    private static let settling: Int64 = 1_000
    /// How long sshd may take from accepting a connection to the process that serves it, in milliseconds.
    private static let forking: Int64 = 100

    mutating func confirm(_ message: Inbox.Message) async {
        guard journal.state == .applied else {
            reply(message, .tooLate, journal.reason)
            return
        }
        guard snapshot != nil else {
            await revert(.trouble, "The snapshot of this change is damaged, so its rules cannot be kept.")
            reply(message, .refused, journal.reason)
            return
        }
        await watchGates()
        let grounds: String
        switch proof(of: message.peer) {
        case .fresh(let address):
            grounds = "Confirmed over a new connection from \(address).\(otherFamily(than: address))"
        case .local: grounds = "Confirmed at this machine: no new SSH login was tested."
        case .none(let reason):
            guard message.request.sameConnection == true else {
                reply(message, .notFresh, reason)
                return
            }
            grounds =
                journal.freshLogin.map { "Confirmed; a new SSH login from \($0) succeeded." }
                ?? "Confirmed; no new SSH login was tested."
        }
        // What was tested has to be what is kept.
        do {
            guard try await backend.isTrialWhole() else {
                let isThere = await reloadTrial("Another program changed the new rules while they were pending.")
                reply(
                    message, .notFresh,
                    "Another program removed or changed new rules while they were pending, so the login that was tested "
                        + "says nothing about them. "
                        + (isThere
                            ? "They are active again: log in again and confirm there."
                            : "They could not be activated again; the previous rules decide."))
                return
            }
        } catch {
            reply(message, .refused, "The new rules are not kept: nobody can tell whether they are whole. \(error)")
            return
        }
        guard gatekeeper.confirm() else {
            await revert(.deadline, Self.notConfirmed)
            reply(message, .tooLate, journal.reason)
            return
        }
        journal.reason = grounds
        journal.verified = true
        journal.isHalfKept = true
        guard record(.kept) else {
            await revert(.trouble, "The journal cannot be written.")
            reply(message, .refused, journal.reason)
            return
        }
        await keep()
        // The emergency opening has a status of its own, told by the state.
        let isTold = journal.state == .persisted || journal.state == .failed
        reply(message, isTold ? .done : .refused, journal.reason)
    }

    private mutating func proof(of peer: PeerCredentials?) -> LoginProof {
        guard let peer else { return .none(reason: "The kernel does not tell who asks.") }
        // Until there is a moment since when a login is new, none is.
        let since = freshSince()
        let proof = environment.witness.proof(peer.pid, since ?? now)
        guard since == nil, proof != .local else { return proof }
        return .none(
            reason: "A connection from before the new rules still waits for sshd to accept it: until it has, no login "
                + "can be told to be new. Try again in a moment; if that does not help, see whether sshd runs.")
    }

    /// What is not proved when the change was begun over one family and confirmed over the other.
    private func otherFamily(than address: String) -> String {
        guard let first = journal.request.requester.address.flatMap({ try? IPAddress(parsing: $0) }),
            let last = try? IPAddress(parsing: address), first.family != last.family
        else { return "" }
        return " That new logins get in over \(first.family == .ipv4 ? "IPv4" : "IPv6") too is not proved."
    }

    /// Lets connections that began under the previous rules be accepted first, so that none of them looks new.
    ///
    /// - Returns: whether all are.
    func settle() async -> Bool {
        let end = now.advanced(milliseconds: Self.settling)
        while !environment.witness.noneWaiting(journal.request.sshPorts) {
            guard now < end else { return false }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return true
    }

    /// Since when a login is new, if nothing from before waits to be accepted: sshd takes a moment from accepting a
    /// connection to the process that serves it.
    var freshFromNow: BootInstant { now.advanced(milliseconds: Self.forking) }

    /// Has only logins from now on count.
    mutating func beginFreshness() {
        journal.freshLogin = nil
        journal.freshSince = environment.witness.noneWaiting(journal.request.sshPorts) ? freshFromNow : nil
        _ = record(.applied)
    }

    /// Since when a login is new; nil while a connection that began under the previous rules may wait to be accepted:
    /// sshd may be slow, or stopped.
    private mutating func freshSince() -> BootInstant? {
        if journal.freshSince == nil, environment.witness.noneWaiting(journal.request.sshPorts) {
            journal.freshSince = freshFromNow
            _ = record(.applied)
        }
        return journal.freshSince
    }

    /// Looks for a new login; short ones are gone in a moment, so whenever a process has begun.
    mutating func noteFreshLogin() {
        guard journal.freshLogin == nil, let since = freshSince() else { return }
        let mark = environment.witness.processMark()
        guard mark.isEmpty || mark != seenProcesses.mark || seenProcesses.at.advanced(milliseconds: 1_000) <= now else {
            return
        }
        seenProcesses = (mark, now)
        guard let address = environment.witness.freshLogin(since) else { return }
        journal.freshLogin = address
        environment.log.notice("A new SSH login from \(address) succeeded.")
    }

    /// Sees once a second to it that the supervisor lives.
    mutating func lookAfterSupervisor() {
        guard supervisorSeen.map({ $0.advanced(milliseconds: 1_000) <= now }) ?? true else { return }
        supervisorSeen = now
        Supervisor.lookAfter(journal.request.id, kind: journal.supervisor, in: environment)
    }
}
