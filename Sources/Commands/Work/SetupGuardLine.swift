import Interview
import Netfilter
import SafeApply

/// Carries words between the wizard's last screen and the guard.
struct SetupGuardLine: GuardLine {
    let client: ChangeClient
    /// The family of addresses by which the person came; nil where it is not known.
    var family: Family?
    /// Whether all this happens in a throwaway network.
    var isTrial = false
    /// By how much `more` puts the deadline off, in seconds.
    static let more = 60

    func status() async -> Interview.ChangeStatus {
        do {
            guard let status = try await client.current() else {
                return Interview.ChangeStatus(
                    secondsLeft: 0, outcome: .failed(["The guard and its journal are gone.", "See: iptables-save"]))
            }
            var shown = self.shown(status)
            if let family, let peer = shown.freshLogin?.peer, peer.family != family {
                let (new, own) = family == .ipv4 ? ("IPv6", "IPv4") : ("IPv4", "IPv6")
                shown.freshLogin?.note = "It came by \(new); you came by \(own), and that way in is not proved."
            }
            return shown
        } catch {
            return Interview.ChangeStatus(secondsLeft: 0, outcome: .failed(["\(error)"]))
        }
    }

    func confirm(sameConnection: Bool) async -> Interview.GuardReply {
        await decide { (client) throws(ChangeError) in try await client.confirm(sameConnection: sameConnection) }
    }

    func revert() async -> Interview.GuardReply {
        await decide { (client) throws(ChangeError) in try await client.revert() }
    }

    func extend() async -> Interview.GuardReply {
        await decide { (client) throws(ChangeError) in
            let left = try await client.current()?.secondsLeft ?? 0
            return try await client.extend(seconds: left + Self.more)
        }
    }

    /// What is kept in a throwaway network is gone with it: neither its files nor a way back are worth a word.
    private func shown(_ status: SafeApply.ChangeStatus) -> Interview.ChangeStatus {
        var shown = Interview.ChangeStatus(status)
        if isTrial, case .kept = shown.outcome { shown.outcome = .keptOnTrial }
        return shown
    }

    private func decide(
        _ request: (ChangeClient) async throws(ChangeError) -> SafeApply.ChangeStatus
    ) async -> Interview.GuardReply {
        do {
            let status = shown(try await request(client))
            return status.outcome.map { .ended($0) } ?? .extended(secondsLeft: status.secondsLeft)
        } catch {
            return .refused([error.description])
        }
    }
}

extension Interview.ChangeStatus {
    /// The guard's word in the wizard's terms.
    init(_ status: SafeApply.ChangeStatus) {
        let outcome: ChangeScreen.Outcome? =
            switch status.state {
            case .prepared, .armed, .applied, .reverting: nil
            case .kept, .persisted:
                .kept(saved: status.persisted, undo: status.id, notes: status.notes ?? [])
            case .reverted: .reverted(Self.reason(status), verified: status.verified)
            case .failed: .failed([status.reason])
            }
        self.init(
            secondsLeft: status.secondsLeft ?? 0,
            freshLogin: status.freshLogin.map { FreshLogin(peer: try? IPAddress(parsing: $0)) }, outcome: outcome)
    }

    private static func reason(_ status: SafeApply.ChangeStatus) -> ChangeScreen.Reason {
        switch status.cause {
        case .deadline, nil: .deadline
        case .request: .request
        case .trouble: .failure(status.reason)
        }
    }
}
