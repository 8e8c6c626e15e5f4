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
    /// The rules are saved to disk before the managers are disabled: otherwise a power failure in between would boot a
    /// server without any rules.
    ///
    /// - Throws: `ChangeError` if the rules cannot be saved, a manager does not stop, or the rules are not complete
    ///   afterwards.
    mutating func makePermanent() async throws(ChangeError) {
        guard let handover else { return try await backend.makePermanent() }
        // Ahead of the shield, which may keep new connections waiting.
        if journal.areManagersStopped != true { await recordRules(before: handover) }
        let isShielded = await handover.raiseShield()
        if !isShielded { try await backend.makePermanent() }
        journal.areManagersStopped = true
        guard record(.kept) else { throw .refused(reason: "The journal cannot be written.") }
        _ = try await Persistence(environment).save(journal.request, await backend.rulesToSave(), isEarly: true)
        try await handover.stop()
        await loadOthersRules(than: handover)
        try await backend.makePermanent()
        if journal.request.backend != .nftables,
            await OtherBackend.isInUse(besides: journal.request.backend, in: environment)
        {
            throw .refused(
                reason: "\(handover.takeOver.names) has left rules in another iptables backend, which still filter.")
        }
        environment.log.notice("Taken over from \(handover.takeOver.names), which is stopped and disabled.")
    }

    /// Records the rules of the moment before the managers stop, for a guard that takes over as well.
    private func recordRules(before handover: ManagerHandover) async {
        let rules = await RulesBeforeHandover(of: handover.names, in: environment)
        do {
            try SecureFiles.write(Array(JSONText.encode(rules).utf8), to: environment.layout.rulesBeforeHandover)
        } catch {
            environment.log.error("The rules of other programs could not be recorded: \(error)")
        }
    }

    private var recordedRules: RulesBeforeHandover? {
        guard let bytes = try? SecureFiles.readTrusted(environment.layout.rulesBeforeHandover) else { return nil }
        return JSONText.decode(RulesBeforeHandover.self, from: bytes)
    }

    /// Loads the rules of other programs that the managers removed when they stopped.
    private func loadOthersRules(than handover: ManagerHandover) async {
        guard let rules = recordedRules else { return }
        do throws(ChangeError) {
            let count = try await rules.loadOthers(than: handover.names, in: environment)
            guard count > 0 else { return }
            environment.log.notice(
                "\(handover.takeOver.names) removed \(count) rules of other programs; they are loaded again.")
        } catch {
            environment.log.error("Rules of other programs may be missing; restart those programs. \(error)")
        }
    }

    /// Starts the managers again, if they may have been stopped; if one does not start, its rules are loaded from the
    /// record.
    ///
    /// - Returns: whether their rules are active again, and a sentence for the reason of the rollback; "" if there is
    ///   nothing to say.
    mutating func startManagers() async -> (areActive: Bool, sentence: String) {
        guard journal.areManagersStopped == true, let handover else { return (true, "") }
        let troubles = await handover.start()
        for trouble in troubles { environment.log.critical("\(trouble)") }
        guard !troubles.isEmpty else { return (true, " \(handover.takeOver.names) runs again.") }
        let areActive = await loadRecordedRules()
        let rules = areActive ? " Its rules are active until reboot." : ""
        return (
            areActive,
            " \(troubles.joined(separator: " "))\(rules) Start it yourself: \"\(handover.takeOver.startText)\"."
        )
    }

    /// Removes the rules of the change from disk again, if they were saved before the managers stopped.
    ///
    /// - Returns: a sentence for the reason of the rollback; "" if there is nothing to say.
    func undoEarlySave() async -> String {
        guard journal.areManagersStopped == true else { return "" }
        guard let snapshot else { return " The new rules may still be loaded at boot: the snapshot is damaged." }
        do throws(ChangeError) {
            try await Persistence(environment).undoSave(snapshot.saved)
            return ""
        } catch {
            environment.log.critical("The rules of the change are still saved to disk: \(error)")
            return " The new rules may still be loaded at boot: \(error)"
        }
    }

    /// Loads the rules from before the managers were stopped.
    ///
    /// - Returns: whether they are active.
    func loadRecordedRules() async -> Bool {
        guard let rules = recordedRules else { return false }
        do throws(ChangeError) {
            try await rules.loadAll(in: environment)
            return true
        } catch {
            environment.log.critical("The rules of the managers could not be loaded: \(error)")
            return false
        }
    }
}
