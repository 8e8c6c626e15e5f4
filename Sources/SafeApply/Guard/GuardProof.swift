import Host
import Logging
import Netfilter

/// How the guard decides whether a new SSH login has succeeded.
extension Guard {
    /// How long it waits for sshd to accept connections that began under the previous rules, in milliseconds.
    private static let acceptTime: Int64 = 1_000
    /// How long sshd may take from accepting a connection to starting its process, in milliseconds.
    private static let forkTime: Int64 = 100

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
            grounds = "Confirmed in a new SSH login from \(address).\(otherFamily(than: address))"
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
        // The rules to keep must be the rules that were tested.
        do {
            guard try await backend.isTrialWhole() else {
                let isThere = await reloadTrial("Another program changed the new rules while they were pending.")
                reply(
                    message, .notFresh,
                    "Another program changed the new rules while they were pending, so your login did not test them. "
                        + (isThere
                            ? "They are active again: open a new SSH login and confirm there."
                            : "They could not be activated again; the previous rules are active."))
                return
            }
        } catch {
            reply(message, .refused, "The new rules were not kept: they cannot be checked. \(error)")
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
        // The emergency opening has its own exit status, which the client takes from the state.
        let isDone = journal.state == .persisted || journal.state == .failed
        reply(message, isDone ? .done : .refused, journal.reason)
    }

    private mutating func proof(of peer: PeerCredentials?) -> LoginProof {
        guard let peer else { return .none(reason: "The kernel does not show which process sent this request.") }
        // While `freshSince` is unknown, no login counts as new.
        let since = freshSince()
        let proof = environment.witness.proof(peer.pid, since ?? now)
        guard since == nil, proof != .local else { return proof }
        return .none(
            reason: "A connection from before the new rules still waits for sshd to accept it, so latchkey cannot tell "
                + "new logins from old ones yet. Try again in a moment; if that does not help, check whether sshd runs."
        )
    }

    /// The note that a login was not tested over the address family over which the change was begun.
    private func otherFamily(than address: String) -> String {
        guard let first = journal.request.requester.address.flatMap({ try? IPAddress(parsing: $0) }),
            let last = try? IPAddress(parsing: address), first.family != last.family
        else { return "" }
        return " A new SSH login over \(first.family.title) was not tested."
    }

    /// Waits until sshd has accepted the connections that began under the previous rules, so that none looks new.
    ///
    /// - Returns: whether it has accepted all of them.
    func waitForPendingConnections() async -> Bool {
        let end = now.advanced(milliseconds: Self.acceptTime)
        while !environment.witness.noneWaiting(journal.request.sshPorts) {
            guard now < end else { return false }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return true
    }

    /// From when on a login counts as new, if no earlier connection waits to be accepted: sshd takes a moment from
    /// accepting a connection to starting its process.
    var freshFromNow: BootInstant { now.advanced(milliseconds: Self.forkTime) }

    /// Makes only logins from now on count.
    mutating func beginFreshness() {
        journal.freshLogin = nil
        journal.freshSince = environment.witness.noneWaiting(journal.request.sshPorts) ? freshFromNow : nil
        _ = record(.applied)
    }

    /// From when on a login counts as new; nil while a connection that began under the previous rules may still wait to
    /// be accepted, because sshd is slow or stopped.
    private mutating func freshSince() -> BootInstant? {
        if journal.freshSince == nil, environment.witness.noneWaiting(journal.request.sshPorts) {
            journal.freshSince = freshFromNow
            _ = record(.applied)
        }
        return journal.freshSince
    }

    /// Checks for a new login.
    mutating func noteFreshLogin() {
        guard journal.freshLogin == nil, let since = freshSince() else { return }
        guard let address = logins.look(since: since, now) else { return }
        journal.freshLogin = address
        environment.log.notice("A new SSH login from \(address) succeeded.")
    }
}
