import Host
import Logging
import Netfilter

/// What the guard does, step by step; each is written into the journal before it acts.
extension Guard {
    /// For how long it tries to put the earlier rules back before it opens the door, in milliseconds.
    private static let stubbornness: Int64 = 15_000
    /// How often it tries to put them back at the least: a tool that hangs once has used up that time by itself.
    private static let leastTries = 3
    /// How often it tries to open the door, two seconds and the tools' own time apart.
    private static let attempts = 100

    mutating func apply() async {
        if journal.canExpire != false {
            journal.expiry = date + Int64(journal.request.deadlineSeconds) + Expiry.grace
        }
        guard record(.armed) else {
            await end(.reverted, "The journal cannot be written. Nothing was applied.", verified: true)
            return
        }
        do {
            if !surroundings.witness.tracksConnections() {
                try await transaction.startTracking()
                // Whoever waits prints meanwhile, and so sends packets of its SSH connection.
                try? await Task.sleep(for: .milliseconds(500))
            }
            try await transaction.apply(until: journal.expiry)
        } catch {
            await revert(.trouble, "The new rules could not be applied. \(error)")
            return
        }
        let areAccepted = await settle()
        if !journal.request.isCanonical {
            // A guard that carries on compares with what iptables made of the rules, not with how they were written.
            journal.request.rules = PerFamily(ipv4: transaction.plan.ipv4?.text, ipv6: transaction.plan.ipv6?.text)
            journal.request.isCanonical = true
        }
        journal.appliedAt = now
        if areAccepted { journal.freshSince = journal.appliedAt }
        journal.deadline = now.advanced(milliseconds: Int64(journal.request.deadlineSeconds) * 1_000)
        guard record(.applied) else { return await revert(.trouble, "The journal cannot be written.") }
        History(surroundings).inForce(journal)
    }

    /// Keeps the kernel's expiry a fixed time behind the deadline, however the date is changed or the deadline put
    /// off.
    mutating func watchExpiry() async {
        guard journal.state == .applied, let expiry = journal.expiry, let deadline = journal.deadline else { return }
        let right = date + max(0, now.milliseconds(until: deadline)) / 1_000 + Expiry.grace
        guard abs(right - expiry) > 2, right != refusedExpiry else { return }
        do {
            try await transaction.move(from: expiry, to: right)
            journal.expiry = right
            _ = record(.applied)
        } catch {
            // The guard's own deadline stands; the next change of the date is tried again.
            refusedExpiry = right
            surroundings.log.error("The kernel's expiry could not be moved: \(error)")
        }
    }

    /// Makes the rules permanent and saves them; rules that cannot be made permanent are not left to expire.
    mutating func keep() async {
        if let expiry = journal.expiry {
            do {
                try await transaction.settle(from: expiry)
                journal.expiry = nil
            } catch {
                await revert(.trouble, "The rules could not be made permanent. \(error)")
                return
            }
        }
        await save()
    }

    /// Stores what a kept change leaves behind.
    ///
    /// Trouble here does not undo it: the rules are in force and proved.
    private mutating func save() async {
        await transaction.removeEmptiedTables()
        let persistence = Persistence(surroundings)
        var notes = await transaction.strangersNotes()
        do {
            let saved = try await persistence.save(journal.request, plan: transaction.plan)
            journal.persisted = saved.paths
            notes += saved.notes
        } catch {
            notes.append("The rules are not saved for the next start: \(error)")
            surroundings.log.error("The rules are kept, but not saved for the next start: \(error)")
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
        let wanted = deadline.advanced(milliseconds: Int64(max(0, message.request.seconds ?? 0)) * 1_000)
        let before = journal
        journal.deadline = min(wanted, limit)
        guard record(.applied) else {
            journal = before
            reply(message, .refused, "The journal cannot be written; the deadline stays.")
            return
        }
        reply(message, .done, "")
    }

    mutating func revert(_ cause: RevertCause, _ reason: String) async {
        journal.cause = cause
        journal.reason = reason
        // What cannot be journalled is done all the same: the door matters more than the record.
        _ = record(.reverting)
        let end = now.advanced(milliseconds: Self.stubbornness)
        var wait: Int64 = 100
        var tries = 0
        while snapshot != nil, now < end || tries < Self.leastTries {
            if await putBack(reason) { return }
            tries += 1
            try? await Task.sleep(for: .milliseconds(wait))
            wait = min(wait * 2, 2_000)
        }
        await emergency(reason)
    }

    /// Puts the snapshot back.
    ///
    /// - Returns: whether the earlier rules are back, and verified.
    private mutating func putBack(_ reason: String) async -> Bool {
        guard let snapshot else { return false }
        do {
            try await transaction.putBack(snapshot)
            await end(.reverted, "\(reason) The earlier rules are back.", verified: true)
            return true
        } catch {
            surroundings.log.error("Putting the earlier rules back failed: \(error)")
            return false
        }
    }

    /// Opens the door, and goes on trying while neither that nor the earlier rules can be put in force.
    private mutating func emergency(_ reason: String) async {
        for attempt in 1...Self.attempts {
            do {
                try await transaction.open()
                let text =
                    "\(reason) The earlier rules could not be put back: SSH and the admins are let in ahead of all "
                    + "other rules until somebody sets that right."
                journal.isOpened = true
                await end(.failed, text, verified: false)
                await tellEverybody("latchkey: \(text)")
                return
            } catch {
                surroundings.log.critical("Opening the door failed (attempt \(attempt)): \(error)")
                if attempt == 1 {
                    await tellEverybody(
                        "latchkey: \(reason) Neither the earlier rules nor an opening could be put in force yet. It is "
                            + "tried on; see the log.")
                }
            }
            if await putBack(reason) { return }
            try? await Task.sleep(for: .seconds(2))
        }
        let text =
            "\(reason) Neither the earlier rules nor an opening could be put in force and verified: look at the rules "
            + "from a console (iptables-save)."
        await end(.failed, text, verified: false)
        await tellEverybody("latchkey: \(text)")
    }

    /// A message to all terminals that somebody is logged in at (wall(1)); where that is missing, the log has it.
    private func tellEverybody(_ text: String) async {
        guard let wall = surroundings.toolbox.find("wall") else { return }
        _ = try? await surroundings.runner.run(
            Command(wall, input: Array("\(text)\n".utf8), timeout: .seconds(5)))
    }

    mutating func end(_ state: JournalState, _ reason: String, verified: Bool) async {
        journal.reason = reason
        journal.verified = verified
        finish(state)
    }

    /// Records how the change ended.
    private mutating func finish(_ state: JournalState) {
        if !record(state) { isOnRecord = recordAnew() }
        History(surroundings).ended(journal)
    }

    /// Records a final state where there is no room for it: without a journal nothing is pending either, and the room
    /// that it took may do for the new one.
    ///
    /// - Returns: whether what is on record no longer seems to be pending.
    mutating func recordAnew() -> Bool {
        do {
            try ChangeError.wrap { () throws(HostError) in try SecureFiles.remove(surroundings.layout.journal) }
        } catch {
            surroundings.log.error("The journal cannot be removed: \(error)")
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
            surroundings.log.error("The journal cannot be written: \(error)")
            return false
        }
    }
}
