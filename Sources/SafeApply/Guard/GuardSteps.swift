import Host
import Logging
import Netfilter

/// The guard's steps; each is written to the journal before it acts.
extension Guard {
    /// How long the kernel may take to track connections that are older than the rules, in milliseconds.
    private static let trackingTime: Int64 = 500

    /// How often a guard may be restarted before it rolls back: each restart opens the gates for a while.
    private static let maxRestarts = 5

    mutating func apply() async {
        guard record(.armed) else {
            await end(.reverted, "The journal cannot be written. Nothing was applied.", verified: true)
            return
        }
        let isTracking = environment.witness.tracksConnections()
        do {
            try await backend.loadTrial(again: false)
            gatekeeper = Gatekeeper(backend.gates, clock: environment.clock)
            if !isTracking, environment.witness.hasConnections() {
                // The kernel began to track connections when the trial was loaded. It must see a packet of each older
                // connection before anything is dropped: the waiting program prints dots, and so sends packets.
                try? await Task.sleep(for: .milliseconds(Self.trackingTime))
            }
        } catch {
            await revert(.trouble, "The new rules could not be applied. \(error)")
            return
        }
        // Before a login can be new, so that none is missed.
        logins.watch()
        let areAccepted = await waitForPendingConnections()
        let deadline = now.advanced(milliseconds: Int64(journal.request.deadlineSeconds) * 1_000)
        do { try gatekeeper.open(until: deadline) } catch {
            await revert(.trouble, "The new rules could not be activated. \(error)")
            return
        }
        journal.gate = backend.gateKind
        journal.appliedAt = now
        if areAccepted { journal.freshSince = freshFromNow }
        journal.deadline = deadline
        guard record(.applied) else { return await revert(.trouble, "The journal cannot be written.") }
        noteRenewal()
        History(environment).applied(journal)
        // A person may log in as soon as the change is reported as pending, and that login has to count.
        if let since = journal.freshSince {
            try? await Task.sleep(for: .milliseconds(max(0, now.milliseconds(until: since))))
        }
    }

    /// Resumes a trial that another guard began.
    mutating func resumeTrial() async {
        guard let deadline = journal.deadline, now < deadline else { return }
        journal.restarts = (journal.restarts ?? 0) + 1
        guard journal.restarts ?? 0 <= Self.maxRestarts else {
            return await revert(.trouble, "The guard was killed too many times.")
        }
        guard record(.applied) else { return await revert(.trouble, "The journal cannot be written.") }
        if let renewed = lastRenewal, !Gatekeeper.hasLapsed(since: renewed, now) {
            return gatekeeper.resume(until: deadline, renewed: renewed)
        }
        // The previous rules are active. A guard that is killed again and again at once must not open the gates again.
        try? await Task.sleep(for: .milliseconds(Gatekeeper.probation))
        do { try gatekeeper.open(until: deadline) } catch {
            await reloadTrial("A gate is missing: \(error)")
            return
        }
        environment.log.warning("The new rules were not active for a while, because no guard was running.")
        beginFreshness()
    }

    /// Reacts to gates that were closed for a while or are missing: logins in that time did not test the new rules.
    mutating func watchGates() async {
        noteRenewal()
        switch gatekeeper.takeNotice() {
        case nil: break
        case .lapsed:
            environment.log.warning("The new rules were not active for a while, because the guard was held up.")
            beginFreshness()
        case .gone(let reason): await reloadTrial("Another program removed rules of the trial. \(reason)")
        }
    }

    /// Loads an incomplete trial again; only logins after that count.
    ///
    /// - Returns: whether it is complete again.
    @discardableResult
    mutating func reloadTrial(_ reason: String) async -> Bool {
        environment.log.warning("\(reason) Loading the trial again.")
        journal.freshSince = nil
        do {
            try await backend.loadTrial(again: true)
            if gatekeeper.phase == .idle, let deadline = journal.deadline {
                try gatekeeper.open(until: deadline)
            } else {
                try gatekeeper.reopen()
            }
        } catch {
            environment.log.error("The trial could not be loaded again: \(error)")
            beginFreshness()
            return false
        }
        beginFreshness()
        return true
    }

    /// Makes the rules permanent and saves them.
    mutating func keep() async {
        do { try await makePermanent() } catch {
            await revert(.trouble, "The rules could not be made permanent. \(error)")
            return
        }
        // The trial has the same effect as the permanent rules, so it can be removed now or later.
        do { try await backend.removeTrial() } catch {
            environment.log.warning("The trial could not be removed yet: \(error)")
            leftover = removal(after: 1)
        }
        await handover?.lowerShield()
        gatekeeper.end()
        await save()
    }

    /// Saves a kept change.
    ///
    /// A failure here does not undo the change: the rules are active and confirmed.
    private mutating func save() async {
        await backend.removeLeftovers()
        let persistence = Persistence(environment)
        var notes = await backend.otherRulesNotes()
        do {
            let saved = try await persistence.save(journal.request, await backend.rulesToSave())
            journal.persisted = saved.paths
            notes += saved.notes
        } catch {
            notes.append("The rules are active until reboot. They could not be saved to disk: \(error)")
            environment.log.error("The rules are kept, but not saved to disk: \(error)")
        }
        // What was observed is now active, or out of date.
        do { try await Observation(environment).end() } catch {
            notes.append("The observation could not be ended: \(error)")
        }
        journal.notes = notes.isEmpty ? nil : notes
        finish(.persisted)
    }

    mutating func extend(_ message: Inbox.Message) {
        guard journal.state == .applied, let deadline = journal.deadline, let since = journal.appliedAt else {
            reply(message, .tooLate, journal.reason)
            return
        }
        let limit = since.advanced(milliseconds: Int64(Deadline.longest) * 1_000)
        let seconds = Int64(min(max(0, message.request.seconds ?? journal.request.deadlineSeconds), Deadline.longest))
        // The deadline never moves to an earlier time.
        let wanted = max(deadline, min(now.advanced(milliseconds: seconds * 1_000), limit))
        let before = journal
        journal.deadline = wanted
        guard record(.applied) else {
            journal = before
            reply(message, .refused, "The journal cannot be written; the deadline is unchanged.")
            return
        }
        guard gatekeeper.extend(until: wanted) else {
            journal = before
            reply(message, .tooLate, "The deadline has passed.")
            return
        }
        reply(message, .done, "")
    }

    mutating func end(_ state: JournalState, _ reason: String, verified: Bool) async {
        journal.reason = reason
        journal.verified = verified
        finish(state)
    }

    /// Records how the change ended.
    private mutating func finish(_ state: JournalState) {
        if !record(state) { isOnRecord = recordAnew() }
        try? SecureFiles.remove(environment.layout.renewal)
        try? SecureFiles.remove(environment.layout.rulesBeforeHandover)
        History(environment).ended(journal)
    }

    /// Records a final state on a full disk: without a journal nothing is pending either, and removing it may free
    /// enough space for the new one.
    ///
    /// - Returns: whether the change no longer seems to be pending.
    mutating func recordAnew() -> Bool {
        do {
            try ChangeError.wrap { () throws(HostError) in try SecureFiles.remove(environment.layout.journal) }
        } catch {
            environment.log.error("The journal cannot be removed: \(error)")
            return false
        }
        _ = record(journal.state)
        return true
    }

    mutating func record(_ state: JournalState) -> Bool {
        journal.state = state
        do {
            try file.write(journal)
            return true
        } catch {
            environment.log.error("The journal cannot be written: \(error)")
            return false
        }
    }

    // MARK: - Renewals on record

    /// Records the last renewal of the gates, for a guard that takes over: logins while they were closed did not test
    /// the new rules.
    private func noteRenewal() {
        guard let renewed = gatekeeper.renewed, renewed != lastRenewal else { return }
        try? SecureFiles.write(Array("\(renewed.nanoseconds)\n".utf8), to: environment.layout.renewal)
    }

    /// The recorded last renewal of the gates.
    private var lastRenewal: BootInstant? {
        guard let bytes = try? SecureFiles.readTrusted(environment.layout.renewal, limit: 64),
            let nanoseconds = Int64(String(decoding: bytes, as: UTF8.self).prefix { $0.isNumber })
        else { return journal.appliedAt }
        return BootInstant(nanoseconds: nanoseconds)
    }
}
