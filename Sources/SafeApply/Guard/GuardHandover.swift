import Host
import Logging
import Netfilter

/// How the guard takes over from other firewall managers, between the trial and the permanent rules.
extension Guard {
    /// The managers that the change takes over; nil for none.
    var handover: ManagerHandover? {
        journal.request.takeOver.map { ManagerHandover(takeOver: $0, environment: environment) }
    }

    /// Makes the rules permanent, in place of those of the managers.
    ///
    /// Some managers remove everybody's rules when they stop. The shield, a table of its own, enforces the new rules
    /// meanwhile. With it, the permanent rules are loaded only afterwards, so that a policy of DROP never stands alone;
    /// without it they are loaded before as well.
    ///
    /// - Throws: `ChangeError` if a manager does not stop, or the rules are not complete afterwards.
    mutating func makePermanent() async throws(ChangeError) {
        guard let handover else { return try await backend.makePermanent() }
        let isShielded = await handover.raiseShield()
        if !isShielded { try await backend.makePermanent() }
        journal.areManagersStopped = true
        guard record(.kept) else { throw .refused(reason: "The journal cannot be written.") }
        try await handover.stop()
        try await backend.makePermanent()
        environment.log.notice("Taken over from \(handover.takeOver.names), which is stopped and disabled.")
    }

    /// Starts the managers again, if they may have been stopped.
    ///
    /// - Returns: a sentence for the reason of the rollback; "" if there is nothing to say.
    mutating func startManagers() async -> String {
        guard journal.areManagersStopped == true, let handover else { return "" }
        let troubles = await handover.start()
        for trouble in troubles { environment.log.critical("\(trouble)") }
        guard troubles.isEmpty else {
            return " \(troubles.joined(separator: " ")) Start it yourself: \(handover.takeOver.startText)"
        }
        return " \(handover.takeOver.names) runs again."
    }
}
