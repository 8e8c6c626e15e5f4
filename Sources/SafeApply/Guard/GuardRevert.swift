import Host
import Logging
import Netfilter
import Synchronization

/// The way back: first the gates, then the tidying.
extension Guard {
    /// For how long it tries to take half-made permanent rules back before it opens the server, in milliseconds.
    private static let stubbornness: Int64 = 15_000
    /// How often it tries at the least: a tool that hangs once has used up that time by itself.
    private static let leastTries = 3
    /// How often it tries to open the server, two seconds and the tools' own time apart.
    private static let attempts = 100
    /// For how long a rollback waits for the trial to be removed, in milliseconds.
    private static let tidying: Int64 = 600
    /// For how long the trial's remains are removed in the background, in milliseconds.
    private static let lastTidying: Int64 = 600_000

    mutating func revert(_ cause: RevertCause, _ reason: String) async {
        // Before anything is written: from here on the previous rules decide.
        var areClosed = gatekeeper.close()
        journal.cause = cause
        journal.reason = reason
        // What cannot be journalled is done all the same: the rules matter more than the record.
        _ = record(.reverting)
        if journal.isHalfKept == true, !(await takeBack()) { return await emergency(reason) }
        if !areClosed { areClosed = await removeOpenGates() }
        guard areClosed else { return await emergency(reason) }
        if !(await removedSoon()) {
            environment.log.warning(
                "The previous rules decide again. Closed rules of latchkey's are still to be removed.")
        }
        await end(.reverted, "\(reason) The previous rules are active again (verified).", verified: true)
    }

    /// Takes half-made permanent rules back.
    ///
    /// - Returns: whether the previous rules are there again, and verified.
    private mutating func takeBack() async -> Bool {
        guard snapshot != nil else { return false }
        let end = now.advanced(milliseconds: Self.stubbornness)
        var wait: Int64 = 100
        var tries = 0
        while now < end || tries < Self.leastTries {
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
        let end = now.advanced(milliseconds: Self.stubbornness)
        var tries = 0
        while now < end || tries < Self.leastTries {
            do {
                try await backend.removeTrial()
                return true
            } catch { environment.log.error("The gates could not be removed: \(error)") }
            // A gate with a clock may have closed meanwhile.
            if gatekeeper.close() { return true }
            tries += 1
            try? await Task.sleep(for: .milliseconds(500))
        }
        return false
    }

    // MARK: - Tidying

    /// Removes the closed trial, and waits a moment for it.
    ///
    /// - Returns: whether it is gone.
    private mutating func removedSoon() async -> Bool {
        let task = removal(after: 0)
        leftover = task
        let isDone = Flag()
        Task.detached {
            if (try? await task.value) != nil { isDone.raise() }
        }
        let end = now.advanced(milliseconds: Self.tidying)
        while now < end {
            if isDone.isRaised {
                leftover = nil
                return true
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    /// Something that has happened, or not yet.
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

    /// Goes on removing what is left of the trial, until another change begins: that does it itself.
    mutating func removeLeftover() async {
        guard var task = leftover else { return }
        let end = now.advanced(milliseconds: Self.lastTidying)
        var wait: Int64 = 1
        while now < end, !ServiceManager.isGoingDown {
            do {
                try await task.value
                environment.log.notice("Nothing of the trial of \(journal.request.id) is left.")
                return
            } catch { environment.log.info("The trial could not be removed yet: \(error)") }
            if (try? FileLock.isFree(environment.layout.beginLock)) == false { return }
            task = removal(after: wait)
            wait = min(wait * 2, 30)
        }
    }

    // MARK: - The emergency opening

    /// Opens the server, and goes on trying while neither that nor the previous rules can be had.
    private mutating func emergency(_ reason: String) async {
        for attempt in 1...Self.attempts {
            do {
                try await backend.open()
                let text =
                    "\(reason) The previous rules could not be restored: SSH and the admins are allowed ahead of all "
                    + "other rules until somebody puts that right."
                journal.isOpened = true
                await end(.failed, text, verified: false)
                await tellEverybody("latchkey: \(text)")
                return
            } catch {
                environment.log.critical("The emergency opening failed (attempt \(attempt)): \(error)")
                if attempt == 1 {
                    await tellEverybody(
                        "latchkey: \(reason) Neither the previous rules nor an opening could be activated yet. latchkey "
                            + "goes on trying; see the log.")
                }
            }
            if snapshot != nil, (try? await backend.takeBack()) != nil, (try? await backend.removeTrial()) != nil {
                await end(.reverted, "\(reason) The previous rules are active again (verified).", verified: true)
                return
            }
            try? await Task.sleep(for: .seconds(2))
        }
        let text =
            "\(reason) Neither the previous rules nor an opening could be activated and verified: look at the rules "
            + "from a console (iptables-save)."
        await end(.failed, text, verified: false)
        await tellEverybody("latchkey: \(text)")
    }

    /// A message to all terminals that somebody is logged in at (wall(1)); where that is missing, the log has it.
    private func tellEverybody(_ text: String) async {
        guard let wall = environment.toolbox.find("wall") else { return }
        _ = try? await environment.runner.run(
            Command(wall, input: Array("\(text)\n".utf8), timeout: .seconds(5)))
    }
}
