import Interview
import Netfilter
import SafeApply

/// Carries words between the wizard's last screen and the guard.
struct WizardGuardConnection: GuardConnection {
    let client: ChangeClient
    /// The family of addresses by which the person came; nil where it is not known.
    var family: Family?
    /// Whether all this happens in a throwaway network.
    var isTrial = false
    /// By how much `more` puts the deadline off, in seconds.
    static let more = 60

    func status() async -> PendingChangeStatus {
        do {
            guard let status = try await client.current() else {
                return PendingChangeStatus(
                    secondsLeft: 0, outcome: .failed(["The guard and its journal are gone.", "See: iptables-save"]))
            }
            var shown = self.shown(status)
            if let family, let peer = shown.freshLogin?.peer, peer.family != family {
                let (new, own) = family == .ipv4 ? ("IPv6", "IPv4") : ("IPv4", "IPv6")
                shown.freshLogin?.note = "It came by \(new); you came by \(own), and that way in is not proved."
            }
            return shown
        } catch {
            return PendingChangeStatus(secondsLeft: 0, outcome: .failed(["\(error)"]))
        }
    }

    func confirm(sameConnection: Bool) async -> PendingChangeReply {
        await decide { (client) throws(ChangeError) in try await client.confirm(sameConnection: sameConnection) }
    }

    func revert() async -> PendingChangeReply {
        await decide { (client) throws(ChangeError) in try await client.revert() }
    }

    func extend() async -> PendingChangeReply {
        await decide { (client) throws(ChangeError) in
            let left = try await client.current()?.secondsLeft ?? 0
            return try await client.extend(seconds: left + Self.more)
        }
    }

    /// What is kept in a throwaway network is gone with it: neither its files nor a way back are worth a word.
    private func shown(_ status: ChangeStatus) -> PendingChangeStatus {
        var shown = PendingChangeStatus(status)
        if isTrial, case .kept = shown.outcome { shown.outcome = .keptOnTrial }
        return shown
    }

    private func decide(
        _ request: (ChangeClient) async throws(ChangeError) -> ChangeStatus
    ) async -> PendingChangeReply {
        do {
            let status = shown(try await request(client))
            return status.outcome.map { .ended($0) } ?? .extended(secondsLeft: status.secondsLeft)
        } catch {
            return .refused([error.description])
        }
    }
}

extension PendingChangeStatus {
    /// The guard's word in the wizard's terms.
    init(_ status: ChangeStatus) {
        let outcome: PendingChangeScreen.Ending? =
            switch status.outcome {
            case .pending: nil
            case .kept: .kept(saved: status.persisted, undo: status.id, notes: status.notes ?? [])
            case .reverted: .reverted(Self.reason(status), verified: status.verified)
            case .failed, .refused, .interrupted: .failed([status.reason])
            }
        self.init(
            secondsLeft: status.secondsLeft ?? 0,
            freshLogin: status.freshLogin.map { FreshLogin(peer: try? IPAddress(parsing: $0)) }, outcome: outcome)
    }

    private static func reason(_ status: ChangeStatus) -> PendingChangeScreen.Reason {
        switch status.cause {
        case .deadline, nil: .deadline
        case .request: .request
        case .trouble: .failure(status.reason)
        }
    }
}
