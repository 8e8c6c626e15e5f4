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
        let grounds: String
        switch proof(of: message.peer) {
        case .fresh(let address):
            grounds = "Confirmed over a new connection from \(address).\(otherFamily(than: address))"
        case .local: grounds = "Confirmed at this machine: no new connection has proved that the door opens."
        case .none(let reason):
            guard message.request.sameConnection == true else {
                reply(message, .notFresh, reason)
                return
            }
            grounds =
                journal.freshLogin.map { "Confirmed; a new login from \($0) had got in." }
                ?? "Confirmed without the proof of a new connection."
        }
        journal.reason = grounds
        journal.verified = true
        guard record(.kept) else {
            await revert(.trouble, "The journal cannot be written.")
            reply(message, .refused, journal.reason)
            return
        }
        await keep()
        reply(message, journal.state == .persisted ? .done : .refused, journal.reason)
    }

    private mutating func proof(of peer: PeerCredentials?) -> Proof {
        guard let peer else { return .none(reason: "The kernel does not tell who asks.") }
        // Until there is a moment since when a login is new, none is.
        let since = freshSince()
        let proof = surroundings.witness.proof(peer.pid, since ?? now)
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

    /// Lets connections that began under the earlier rules be accepted first, so that none of them looks new.
    ///
    /// - Returns: whether all are.
    func settle() async -> Bool {
        let end = now.advanced(milliseconds: Self.settling)
        while !surroundings.witness.noneWaiting(journal.request.sshPorts) {
            guard now < end else { return false }
            try? await Task.sleep(for: .milliseconds(20))
        }
        try? await Task.sleep(for: .milliseconds(Self.forking))
        return true
    }

    /// Since when a login is new; nil while a connection that began under the earlier rules may wait to be accepted:
    /// sshd may be slow, or stopped.
    private mutating func freshSince() -> BootInstant? {
        if journal.freshSince == nil, surroundings.witness.noneWaiting(journal.request.sshPorts) {
            journal.freshSince = now.advanced(milliseconds: Self.forking)
            _ = record(.applied)
        }
        return journal.freshSince
    }

    mutating func noteFreshLogin() {
        guard journal.freshLogin == nil, let since = freshSince(),
            let address = surroundings.witness.freshLogin(since)
        else { return }
        journal.freshLogin = address
        surroundings.log.notice("A new SSH login from \(address) got in.")
    }
}
