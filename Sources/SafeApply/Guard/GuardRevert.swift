import Host
import Logging
import Netfilter
import Synchronization

/// The rollback: first the guard closes the gates, then it removes the trial.
extension Guard {
    /// How long it tries to roll back half-made permanent rules before the emergency opening, in milliseconds.
    private static let retryTime: Int64 = 15_000
    /// The least number of attempts: a tool that hangs can use up that time in one attempt.
    private static let minAttempts = 3
    /// How often it tries the emergency opening, at least two seconds apart.
    private static let attempts = 100
    /// How long a rollback waits for the trial to be removed, in milliseconds.
    private static let removalTime: Int64 = 600
    /// How long it tries to remove the rest of the trial in the background, in milliseconds.
    private static let backgroundRemovalTime: Int64 = 600_000

    mutating func revert(_ cause: RevertCause, _ reason: String) async {
        // Before anything is written: from here on the previous rules are active.
        var areClosed = gatekeeper.close()
        journal.cause = cause
        journal.reason = reason
        // Continues even if the journal cannot be written: the rules matter more than the record.
        _ = record(.reverting)
        let managers = await startManagers()
        let reason = reason + managers.sentence + (await undoEarlySave())
        if journal.isHalfKept == true, !(await takeBack()) { return await emergency(reason) }
        guard managers.areActive else { return await emergency(reason) }
        if !areClosed { areClosed = await removeOpenGates() }
        guard areClosed else { return await emergency(reason) }
        if !(await removedSoon()) {
            environment.log.warning(
                "The previous rules are active again. latchkey still has to remove its closed trial rules.")
        }
        await handover?.lowerShield()
        await end(.reverted, "\(reason) The previous rules are active again (verified).", verified: true)
    }

    /// Rolls back half-made permanent rules.
    ///
    /// - Returns: whether the previous rules are restored and verified.
    private mutating func takeBack() async -> Bool {
        guard snapshot != nil else { return false }
        let end = now.advanced(milliseconds: Self.retryTime)
        var wait: Int64 = 100
        var tries = 0
        while now < end || tries < Self.minAttempts {
            do {
                try await backend.takeBack()
                return true
            } catch { environment.log.error("The previous rules could not be restored: \(error)") }
            tries += 1
            try? await Task.sleep(for: .milliseconds(wait))
            wait = min(wait * 2, 2_000)
        }
        return false
    }

    /// Removes gates that nothing else closes.
    ///
    /// - Returns: whether they are gone.
    private mutating func removeOpenGates() async -> Bool {
        let end = now.advanced(milliseconds: Self.retryTime)
        var tries = 0
        while now < end || tries < Self.minAttempts {
            do {
                try await backend.removeTrial()
                return true
            } catch { environment.log.error("The gates could not be removed: \(error)") }
            // A gate with a timeout may have closed in the meantime.
            if gatekeeper.close() { return true }
            tries += 1
            try? await Task.sleep(for: .milliseconds(500))
        }
        return false
    }

    // MARK: - Removing the trial

    /// Removes the closed trial, and waits a moment for it.
    ///
    /// - Returns: whether it is removed.
    private mutating func removedSoon() async -> Bool {
        let task = removal(after: 0)
        leftover = task
        let isDone = Flag()
        Task.detached {
            if (try? await task.value) != nil { isDone.raise() }
        }
        let end = now.advanced(milliseconds: Self.removalTime)
        while now < end {
            if isDone.isRaised {
                leftover = nil
                return true
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    /// A thread-safe flag.
    private final class Flag: Sendable {
        private let value = Mutex(false)
        var isRaised: Bool { value.withLock { $0 } }
        func raise() { value.withLock { $0 = true } }
    }

    /// One attempt to remove the trial.
    func removal(after seconds: Int64) -> Task<Void, any Error> {
        let backend = backend
        return Task.detached {
            if seconds > 0 { try await Task.sleep(for: .seconds(seconds)) }
            try await backend.removeTrial()
        }
    }

    /// Keeps trying to remove the rest of the trial until another change begins, which removes it itself.
    mutating func removeLeftover() async {
        guard var task = leftover else { return }
        let end = now.advanced(milliseconds: Self.backgroundRemovalTime)
        var wait: Int64 = 1
        while now < end, !ServiceManager.isGoingDown {
            do {
                try await task.value
                environment.log.notice("All rules of the trial of \(journal.request.id) are removed.")
                return
            } catch { environment.log.info("The trial could not be removed yet: \(error)") }
            if (try? FileLock.isFree(environment.layout.beginLock)) == false { return }
            task = removal(after: wait)
            wait = min(wait * 2, 30)
        }
    }

    // MARK: - The emergency opening

    /// Makes the emergency opening, and keeps trying until it or the previous rules are active.
    private mutating func emergency(_ reason: String) async {
        // What a table of its own drops, no other table opens.
        await handover?.lowerShield()
        for attempt in 1...Self.attempts {
            do {
                try await backend.open()
                let text =
                    "\(reason) The previous rules could not be restored. As an emergency opening, SSH and the admins are "
                    + "allowed ahead of all other rules until you repair the rules."
                journal.isOpened = true
                await end(.failed, text, verified: false)
                await tellEverybody("latchkey: \(text)")
                return
            } catch {
                environment.log.critical("The emergency opening failed (attempt \(attempt)): \(error)")
                if attempt == 1 {
                    await tellEverybody(
                        "latchkey: \(reason) Neither the previous rules nor an emergency opening could be activated yet. "
                            + "latchkey keeps trying; see the log.")
                }
            }
            let areManagersBack = journal.areManagersStopped == true ? await loadRecordedRules() : true
            if areManagersBack, snapshot != nil, (try? await backend.takeBack()) != nil,
                (try? await backend.removeTrial()) != nil
            {
                await end(.reverted, "\(reason) The previous rules are active again (verified).", verified: true)
                return
            }
            try? await Task.sleep(for: .seconds(2))
        }
        let text =
            "\(reason) Neither the previous rules nor an emergency opening could be activated and verified. Check the "
            + "rules on a console (iptables-save)."
        await end(.failed, text, verified: false)
        await tellEverybody("latchkey: \(text)")
    }

    /// A message to all terminals with a login (wall(1)); without wall, the message is only in the log.
    private func tellEverybody(_ text: String) async {
        guard let wall = environment.toolbox.find("wall") else { return }
        _ = try? await environment.runner.run(
            Command(wall, input: Array("\(text)\n".utf8), timeout: .seconds(5)))
    }
}
