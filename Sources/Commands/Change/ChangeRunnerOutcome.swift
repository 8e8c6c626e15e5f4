import Glibc
import Host
import SafeApply

extension ChangeRunner {
    /// Makes a change and waits for its outcome; with `detach`, only until it is pending.
    ///
    /// - Throws: `Failure` when it did not begin, or its outcome is unknown.
    func carryOut(
        _ request: ChangeRequest, detach: Bool, _ report: ReportOptions, in context: CommandContext
    ) async throws(Failure) -> ProgramStatus {
        if let note = Self.note(of: request.retirement) { context.console.say(Wrapping.text(note)) }
        if let backend = request.retirement?.backend,
            let note = await TemporaryRunner.noteOfRemoval(backend, in: environment)
        {
            context.console.say(Wrapping.text(note))
        }
        var status: ChangeStatus
        do {
            status = try await client.begin(request, progress: Progress.dots(on: context.console))
        } catch { throw Failure(beginning: error) }
        Progress.end(on: context.console)
        if !status.state.isFinal {
            if detach {
                try print(status, report, in: context)
                return .done
            }
            context.console.say(
                Self.invitation(status) + (status.gate == .some(.none) ? "  \(ChangeText.noClock)\n" : ""))
            do { status = try await client.wait() } catch { throw Failure(error) }
        }
        try print(status, report, in: context)
        return ProgramStatus(waitedFor: status)
    }

    private func print(
        _ status: ChangeStatus, _ report: ReportOptions, in context: CommandContext
    ) throws(Failure) {
        if report.json { try context.console.result(ChangeReport(status).json()) }
        context.console.say(ChangeText.outcome(status))
    }

    private static func invitation(_ status: ChangeStatus) -> String {
        let seconds = status.secondsLeft ?? 0
        let state =
            status.isOff == true
            ? "latchkey's firewall is off. It comes back in \(seconds) s unless you keep it off."
            : "The new rules are active. They roll back in \(seconds) s unless you keep them."
        return """
            \(state)
              Open a new SSH login in a second terminal and run:  sudo latchkey confirm
              If you can't log in, just wait: the previous rules become active again.

            """
    }
}

extension Failure {
    /// The failure for an error before anything was applied.
    init(beginning error: ChangeError) {
        self.init(error)
        guard case .host(.file(let path, _, let code)) = error else { return }
        activeRules = Self.nothingChanged
        switch code {
        case ENOSPC, EDQUOT: next = "free some space on the file system of \(path), and try again."
        case EROFS: next = "mount \(SecureFiles.folder(of: path)) writable, and try again."
        default: break
        }
    }
}

/// Progress dots while the rules are being applied.
enum Progress {
    /// Prints a dot each time, on a terminal only.
    ///
    /// Output over an SSH connection makes the kernel track that connection before anything is dropped.
    static func dots(on console: any Console) -> @Sendable () -> Void {
        guard isatty(STDERR_FILENO) == 1 else { return {} }
        return { console.say(".") }
    }

    /// Ends the line.
    static func end(on console: any Console) {
        if isatty(STDERR_FILENO) == 1 { console.say("\n") }
    }
}

/// Texts about a change, for people.
enum ChangeText {
    /// The warning when the kernel cannot end a trial by itself.
    static let noClock =
        "This kernel has neither the \"recent\" match nor ipset: only latchkey's guard can end the trial."
    /// The two ways to end a pending change.
    static let choices = [
        "To keep it, run \"sudo latchkey confirm\" in a new SSH login.",
        "To roll it back, run \"sudo latchkey revert\".",
    ]

    /// The state or outcome of a change, and what to do next.
    static func outcome(_ status: ChangeStatus) -> String {
        let lines: [String] =
            switch status.state {
            case .prepared: ["The change \(status.id) has not begun. \(status.reason)"]
            case .armed: ["The new rules are being activated."]
            case .applied:
                [
                    (status.isOff == true
                        ? "latchkey's firewall is off. The change waits for confirmation"
                        : "The new rules are active and wait for confirmation")
                        + (status.secondsLeft.map { ", \($0) s left." } ?? ".")
                ] + choices + (status.gate == .some(.none) ? [noClock] : [])
            case .reverting:
                ["\(status.reason) The rollback to the previous rules is running and not verified yet."]
            case .kept, .persisted:
                ["Kept. \(status.reason)"] + (status.notes ?? [])
                    + (status.persisted.isEmpty
                        ? [] : ["Saved to disk, loaded at boot: \(status.persisted.joined(separator: ", "))"])
                    + ["To undo: sudo latchkey snapshots restore \(status.id)"]
            case .reverted:
                [status.reason]
            case .failed:
                ["\(status.reason)", "The snapshot is \(status.id). Log in on a console and check the rules."]
            }
        return lines.flatMap { Wrapping.lines($0, rest: "  ") }.joined(separator: "\n") + "\n"
    }
}
