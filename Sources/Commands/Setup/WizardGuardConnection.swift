import Interview
import Netfilter
import SafeApply

/// Connects the wizard's screen of the pending change to the guard.
struct WizardGuardConnection: GuardConnection {
    let client: ChangeClient
    /// The address family of the user's connection; nil if unknown.
    var family: Family?
    /// Whether this runs in a throwaway network.
    var isTrial = false
    /// The number of seconds that `more` adds to the deadline.
    static let more = 60

    func status() async -> PendingChangeStatus {
        do {
            guard let status = try await client.current() else {
                return PendingChangeStatus(
                    secondsLeft: 0,
                    outcome: .failed([
                        "The guard process and its journal are missing.", "To see the active rules, run: iptables-save",
                    ]))
            }
            var shown = self.shown(status)
            if let family, let peer = shown.freshLogin?.peer, peer.family != family {
                let (new, own) = family == .ipv4 ? ("IPv6", "IPv4") : ("IPv4", "IPv6")
                shown.freshLogin?.note = "It used \(new). You use \(own), and a new login over \(own) was not tested."
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

    /// The guard's status in the wizard's terms.
    ///
    /// In a throwaway network, the files and the snapshot are not shown, because they are removed with the network.
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
    /// Creates the wizard's status from the guard's status.
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
