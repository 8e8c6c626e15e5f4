import Netfilter

/// The screen of a pending change as a state machine.
///
/// It shows the countdown and new logins, and handles commands.
///
/// Only the guard decides. Closing this screen, for whatever reason, does not affect the outcome.
package struct PendingChangeScreen: Sendable {
    /// How the user came to this screen.
    package enum Entry: Equatable, Sendable {
        /// The rules were just activated.
        case begun
        /// The program was started while a change was pending. The address is set if the user's SSH connection is newer
        /// than the rules.
        case resumed(newLoginFrom: IPAddress?)
    }

    /// How to test that a new login works.
    package enum LoginTest: Equatable, Sendable {
        /// With a new SSH connection. The command opens one from another machine.
        case login(command: String?)
        /// A test is not possible, for example at a local console.
        case notPossible(reason: String)
        /// A test is not required, because this is a throwaway network without logins.
        case notRequired(reason: String)
    }

    /// A request to the guard or to the calling program.
    package enum Request: Equatable, Sendable {
        /// Keep the rules. With `sameConnection`, no new connection is required.
        case confirm(sameConnection: Bool)
        /// Roll back to the previous rules now.
        case revert
        /// Wait longer.
        case extend
        /// Wait for the outcome without asking for input.
        case wait
        /// Exit this program. The guard continues.
        case leave
    }

    /// How the change ended.
    package enum Ending: Equatable, Sendable {
        /// The rules are kept: the files that they are saved in, the snapshot that undoes them, and notes for the user.
        case kept(saved: [String], undo: String?, notes: [String] = [])
        /// The rules are kept in a throwaway network, and not saved to disk.
        case keptOnTrial
        /// The change was rolled back.
        case reverted(Reason, verified: Bool)
        /// Something failed. The lines say which rules are active.
        case failed([String])
    }

    /// Why a change was rolled back.
    package enum Reason: Equatable, Sendable {
        case deadline
        case request
        case failure(String)
    }

    /// The result of one step.
    package struct Turn: Equatable, Sendable {
        /// The lines to show.
        package var lines: [Line]
        /// The request to send, if any.
        package var request: Request?

        init(_ lines: [Line], request: Request? = nil) {
            self.lines = lines
            self.request = request
        }
    }

    /// The current screen.
    ///
    /// Set it again when the window size changes.
    package var screen: Screen
    /// The seconds until the rollback, as last reported by the guard.
    package private(set) var secondsLeft: Int
    /// Whether a new login was detected.
    package private(set) var hasFreshConnection = false

    private let entry: Entry
    private let loginTest: LoginTest
    private var isResumed: Bool { entry != .begun }
    /// The original time limit in seconds; nil after it was changed.
    private var timeLimit: Int?
    private var wasInterrupted = false

    /// Creates the screen of a change that has this many seconds left.
    package init(secondsLeft: Int, entry: Entry = .begun, loginTest: LoginTest, screen: Screen = Screen()) {
        self.secondsLeft = secondsLeft
        timeLimit = secondsLeft
        self.entry = entry
        self.loginTest = loginTest
        self.screen = screen
        if case .resumed(.some) = entry { hasFreshConnection = true }
    }

    // MARK: - Output

    /// The first lines.
    package func begin() -> [Line] {
        switch entry {
        case .begun:
            return screen.paragraph(
                "The new rules are active. They roll back in \(secondsLeft) s unless you keep them.", indent: 0,
                tone: .heading) + [.blank] + loginInstructions + [.blank]
        case .resumed(let peer):
            let pending = screen.paragraph("A change is pending, \(secondsLeft) s left.", indent: 0, tone: .heading)
            guard let peer else { return pending + loginInstructions + [.blank] }
            return pending
                + screen.paragraph(
                    "You are on a new connection from \(peer): a new SSH login was tested.", indent: 0, tone: .good)
        }
    }

    private var loginInstructions: [Line] {
        switch loginTest {
        case .login(let command):
            let how = command.map { ": \(AnswerLine.editable($0))" } ?? "."
            return screen.paragraph("Now log in from a second terminal\(how)", indent: 2, hanging: 4)
                + screen.paragraph(
                    "If that fails, do nothing. The new rules roll back automatically.", indent: 2)
                + screen.paragraph(
                    "If your connection drops, log in again and run \"sudo latchkey\" to resume.", indent: 2)
        case .notPossible(let reason), .notRequired(let reason):
            return screen.paragraph(reason, indent: 2)
        }
    }

    /// The prompt, with the countdown.
    package var prompt: String {
        let seconds = "  \(secondsLeft) s   "
        let words = offered.joined(separator: " / ")
        if !canKeep { return seconds + "no new login yet > " }
        if enterKeeps { return "\(seconds)\(words) [keep] > " }
        return "\(seconds)\(words) > "
    }

    /// The line to ask for now.
    package var request: LineRequest {
        LineRequest(
            prompt: prompt,
            completions: ["keep", "revert", "more", "wait", "show"] + (canKeep ? [] : ["keep untested"]),
            history: "change")
    }

    /// The commands that the prompt shows.
    private var offered: [String] { ["keep", "revert", isResumed ? "wait" : "more"] }

    private var canKeep: Bool {
        if case .login = loginTest { return hasFreshConnection }
        return true
    }

    /// Whether Enter alone keeps the rules: only if the user has just logged in under them.
    private var enterKeeps: Bool {
        if case .resumed(.some) = entry { return true }
        return false
    }

    /// The request to keep the rules.
    ///
    /// After a new login was detected, the old connection may confirm.
    private var confirmation: Request {
        if case .notRequired = loginTest { return .confirm(sameConnection: true) }
        return .confirm(sameConnection: hasFreshConnection)
    }

    // MARK: - Input

    /// Updates the countdown.
    package mutating func tick(secondsLeft: Int) {
        self.secondsLeft = max(0, secondsLeft)
    }

    /// Reports a new login, once.
    ///
    /// - Parameters:
    ///   - peer: The address it came from, if known.
    ///   - note: What it did not test, if anything.
    /// - Returns: The lines to show.
    package mutating func freshConnection(from peer: IPAddress?, note: String? = nil) -> [Line] {
        guard !hasFreshConnection else { return [] }
        hasFreshConnection = true
        let from = peer.map { " from \($0)" } ?? ""
        return screen.paragraph("A new SSH login\(from) succeeded.", indent: 2, tone: .good)
            + (note.map { screen.paragraph($0, indent: 2, hanging: 4, tone: .warning) } ?? [])
    }

    /// Handles a typed line.
    package mutating func input(_ line: String) -> Turn {
        wasInterrupted = false
        let typed = AnswerLine.editable(line).trimmed
        let words = typed.lowercased().split(separator: " ").joined(separator: " ")
        switch words {
        case "":
            return enterKeeps ? Turn([], request: confirmation) : Turn([])
        case "keep", "confirm", "yes", "y":
            if canKeep { return Turn([], request: confirmation) }
            return Turn(
                screen.paragraph(
                    """
                    No new login yet. Your current connection would survive rules that lock everyone out. To keep \
                    the rules anyway, type: keep untested
                    """, indent: 2, tone: .warning))
        case "keep untested", "keep unproven":
            return Turn([], request: .confirm(sameConnection: true))
        case "revert", "no", "n", "undo":
            return Turn([], request: .revert)
        case "more":
            return Turn([], request: .extend)
        case "wait":
            return Turn([])
        case "show":
            return Turn(begin())
        case "quit", "q", "exit", "back":
            return Turn(
                screen.paragraph(
                    "A change is pending. Type \"keep\" or \"revert\", or press Ctrl-C to leave it running.", indent: 2)
            )
        case "?", "help":
            return Turn(help)
        default:
            let shown = typed.quoted()
            return Turn(
                screen.paragraph(
                    "\(shown) is not a command. Commands: \(offered.joined(separator: ", ")). Type ? for help.",
                    indent: 2,
                    tone: .mistake))
        }
    }

    /// Handles Ctrl-C: the first time explains it, the second time leaves.
    package mutating func interrupted() -> Turn {
        guard wasInterrupted else {
            wasInterrupted = true
            return Turn(
                screen.paragraph(
                    """
                    The new rules are still active and roll back in \(secondsLeft) s. To roll back now, type: revert. \
                    Ctrl-C again leaves the wizard; the rules still roll back.
                    """, indent: 2, tone: .warning))
        }
        return Turn(
            screen.paragraph(
                """
                You have left the wizard. The new rules roll back in \(secondsLeft) s unless you log in again and \
                run: sudo latchkey confirm
                """, indent: 2), request: .leave)
    }

    /// Handles the end of input.
    ///
    /// The program still waits for the outcome.
    package mutating func endOfInput() -> Turn {
        Turn(
            screen.paragraph(
                "No more input. The new rules roll back in \(secondsLeft) s unless you run: sudo latchkey confirm",
                indent: 2),
            request: .wait)
    }

    /// Shows why the guard refused a request.
    package func refused(_ reasons: [String]) -> [Line] {
        reasons.flatMap { screen.paragraph($0, indent: 2, hanging: 4, tone: .mistake) }
    }

    /// Updates the countdown after the deadline was extended.
    package mutating func extended(secondsLeft: Int) -> [Line] {
        let more = max(0, secondsLeft - self.secondsLeft)
        timeLimit = nil
        self.secondsLeft = secondsLeft
        // The last reported number of seconds may be too high by one.
        guard more > 1 else {
            return screen.paragraph("No more time: the limit is one hour.", indent: 2, tone: .warning)
        }
        return screen.paragraph("More time: \(secondsLeft) s left.", indent: 2)
    }

    /// The lines to show at the end.
    package func ended(_ outcome: Ending) -> [Line] {
        [.blank] + ending(outcome)
    }

    private func ending(_ outcome: Ending) -> [Line] {
        switch outcome {
        case .kept(let saved, let undo, let notes):
            let files =
                saved.isEmpty
                ? "Kept. Active until reboot. Not saved to disk."
                : "Kept, and saved to disk (\(saved.joined(separator: ", ")))."
            return screen.paragraph(files, indent: 0, tone: .good)
                + notes.flatMap { screen.paragraph($0, indent: 0, hanging: 2, tone: .warning) }
                + (undo.map { screen.paragraph("Undo:  sudo latchkey snapshots restore \($0)", indent: 0, hanging: 7) }
                    ?? [])
        case .keptOnTrial:
            return screen.paragraph(
                "Kept. In a real setup, the rules would also be saved to disk.", indent: 0, tone: .good)
                + screen.paragraph(
                    "This was a test run. Nothing on this machine was changed. To set it up, run: sudo latchkey",
                    indent: 0)
        case .reverted(let reason, let verified):
            let now = "The previous rules are active (\(verified ? "verified" : "not verified"))."
            let why =
                switch reason {
                case .deadline: "Not kept \(timeLimit.map { "within \($0) s" } ?? "in time"): rolled back."
                case .request: "Rolled back, as you requested."
                case .failure(let text): "The new rules could not be activated: \(text)"
                }
            return screen.paragraph("\(why) \(now)", indent: 0, tone: verified ? .plain : .warning)
        case .failed(let reasons):
            return reasons.flatMap { screen.paragraph($0, indent: 0, hanging: 2, tone: .mistake) }
        }
    }

    private var help: [Line] {
        screen.definitions(
            [
                ("keep", "keeps the new rules and saves them to disk"),
                ("revert", "rolls back to the previous rules now"),
                ("more", "gives you 60 s more"),
                ("wait", "does nothing; the rules roll back when the countdown ends"),
            ], indent: 2)
            + screen.paragraph(
                """
                A connection that is already open stays open, even if the new rules block new connections. Only a \
                new login shows that you can log in again, so latchkey looks for one before it keeps the rules.
                """, indent: 2)
    }
}
