import Glibc
import Host
import SafeApply

extension ChangeRunner {
    /// Makes a change and waits for its outcome; with `detach`, only until it is pending.
    ///
    /// - Throws: `Failure` when it did not begin, or nobody can tell how it ended.
    func carryOut(
        _ request: ChangeRequest, detach: Bool, _ report: ReportOptions, in context: CommandContext
    ) async throws(Failure) -> ProgramStatus {
        var status: ChangeStatus
        do {
            status = try await client.begin(request, progress: Progress.dots(on: context.console))
        } catch { throw Failure(beginning: error) }
        Progress.end(on: context.console)
        if !status.state.isFinal {
            if detach {
                try tell(status, report, in: context)
                return .done
            }
            context.console.say(
                Self.invitation(status) + (status.gate == .some(.none) ? "  \(ChangeText.noClock)\n" : ""))
            do { status = try await client.wait() } catch { throw Failure(error) }
        }
        try tell(status, report, in: context)
        return ProgramStatus(waitedFor: status)
    }

    private func tell(
        _ status: ChangeStatus, _ report: ReportOptions, in context: CommandContext
    ) throws(Failure) {
        if report.json { try context.console.result(ChangeReport(status).json()) }
        context.console.say(ChangeText.outcome(status))
    }

    private static func invitation(_ status: ChangeStatus) -> String {
        """
        The new rules are in force. Unless you keep them, the old ones return in \(status.secondsLeft ?? 0) s.
          Log in anew from a second terminal, and there:  sudo latchkey confirm
          If that does not work, do nothing: wait, and you are back where you were.

        """
    }
}

extension Failure {
    /// What trouble before anything was applied means to the user.
    init(beginning error: ChangeError) {
        self.init(error)
        guard case .host(.file(let path, _, let code)) = error else { return }
        inForce = Self.nothingChanged
        switch code {
        case ENOSPC, EDQUOT: next = "make room where \(path) lies, and try again."
        case EROFS: next = "mount \(SecureFiles.folder(of: path)) writable, and try again."
        default: break
        }
    }
}

/// Signs of life while the rules are being applied.
enum Progress {
    /// A dot each time, on a terminal only.
    ///
    /// What goes out over an SSH connection makes the kernel know it before anything is dropped.
    static func dots(on console: any Console) -> @Sendable () -> Void {
        guard isatty(STDERR_FILENO) == 1 else { return {} }
        return { console.say(".") }
    }

    /// Ends the line of dots.
    static func end(on console: any Console) {
        if isatty(STDERR_FILENO) == 1 { console.say("\n") }
    }
}

/// What a person is told of a change.
enum ChangeText {
    /// What is said where the last line of defence is missing.
    static let noClock =
        "This kernel has neither the match recent nor ipset: only latchkey's guard can end the trial."

    /// How it stands or ended, and what to do next.
    static func outcome(_ status: ChangeStatus) -> String {
        let lines: [String] =
            switch status.state {
            case .prepared: ["The change \(status.id) has not begun. \(status.reason)"]
            case .armed: ["The new rules are being put in force."]
            case .applied:
                [
                    "The new rules are in force and wait to be kept"
                        + (status.secondsLeft.map { ", \($0) s left." } ?? "."),
                    "Keep: sudo latchkey confirm, over a new SSH connection. Back: sudo latchkey revert",
                ] + (status.gate == .some(.none) ? [noClock] : [])
            case .reverting:
                ["\(status.reason) The earlier rules are being put back; they are not verified to be back yet."]
            case .kept, .persisted:
                ["Kept. \(status.reason)"] + (status.notes ?? [])
                    + (status.persisted.isEmpty
                        ? [] : ["Saved for the next start: \(status.persisted.joined(separator: ", "))"])
                    + ["Undo: sudo latchkey snapshots restore \(status.id)"]
            case .reverted:
                [status.reason]
            case .failed:
                ["\(status.reason)", "The snapshot is \(status.id). Look at it from a console."]
            }
        return lines.flatMap { Wrapping.lines($0, rest: "  ") }.joined(separator: "\n") + "\n"
    }
}
