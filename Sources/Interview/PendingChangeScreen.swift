import Netfilter

/// The change on the screen as a state machine: the seconds run, a new login shows, and words are typed.
///
/// It decides nothing; the guard does. Closing this screen, however it happens, changes nothing of what comes.
package struct PendingChangeScreen: Sendable {
    /// How the person came to this screen.
    package enum Entry: Equatable, Sendable {
        /// The rules were put in force just now.
        case begun
        /// The program was started while a change was pending; the address if it was over a connection that is newer
        /// than the rules.
        case resumed(anewFrom: IPAddress?)
    }

    /// What can prove that a new login gets in.
    package enum LoginTest: Equatable, Sendable {
        /// A fresh SSH connection; the command is what to type elsewhere to make one.
        case login(command: String?)
        /// Nothing can, at a local console for example.
        case impossible(reason: String)
        /// Nothing has to: the network is a throwaway one, and nobody can log in to it.
        case needless(reason: String)
    }

    /// What the guard is to be asked for.
    package enum Request: Equatable, Sendable {
        /// Keep the rules; `sameConnection` without the proof of a fresh connection.
        case confirm(sameConnection: Bool)
        /// Put the earlier rules back now.
        case revert
        /// Wait longer.
        case extend
        /// Ask for nothing more here, and wait for the outcome.
        case wait
        /// Leave this program; the guard goes on alone.
        case leave
    }

    /// How the change ended.
    package enum Ending: Equatable, Sendable {
        /// The rules stay; they are saved in these files, the snapshot can undo them, and this should be known.
        case kept(saved: [String], undo: String?, notes: [String] = [])
        /// They would stay and be saved, were this not a throwaway network.
        case keptOnTrial
        /// The earlier rules are back.
        case reverted(Reason, verified: Bool)
        /// Something failed; the lines say what is in force now.
        case failed([String])
    }

    /// Why a change was reverted.
    package enum Reason: Equatable, Sendable {
        case deadline
        case request
        case failure(String)
    }

    /// What one step brings about.
    package struct Turn: Equatable, Sendable {
        /// The lines to show.
        package var lines: [Line]
        /// What to ask of the guard, if anything.
        package var request: Request?

        init(_ lines: [Line], request: Request? = nil) {
            self.lines = lines
            self.request = request
        }
    }

    /// The screen's width now.
    package var screen: Screen
    /// The seconds until the earlier rules return, as last heard.
    package private(set) var secondsLeft: Int
    /// Whether a new login was seen.
    package private(set) var hasFreshConnection = false

    private let opening: Entry
    private let proof: LoginTest
    private var isResumed: Bool { opening != .begun }
    /// How long it was to wait; nil once that was changed.
    private var window: Int?
    private var wasInterrupted = false

    /// Makes the screen of a change that has this many seconds left.
    package init(secondsLeft: Int, opening: Entry = .begun, proof: LoginTest, screen: Screen = Screen()) {
        self.secondsLeft = secondsLeft
        window = secondsLeft
        self.opening = opening
        self.proof = proof
        self.screen = screen
        if case .resumed(.some) = opening { hasFreshConnection = true }
    }

    // MARK: - What is shown

    /// What is said first.
    package func begin() -> [Line] {
        switch opening {
        case .begun:
            return screen.paragraph(
                "The new rules are in force. Unless you keep them, the old ones return in \(secondsLeft) s.", indent: 0,
                tone: .heading) + [.blank] + howToProve + [.blank]
        case .resumed(let peer):
            let pending = screen.paragraph("A change is pending, \(secondsLeft) s left.", indent: 0, tone: .heading)
            guard let peer else { return pending + howToProve + [.blank] }
            return pending
                + screen.paragraph(
                    "You came in by a new connection, from \(peer): the door opens.", indent: 0, tone: .good)
        }
    }

    private var howToProve: [Line] {
        switch proof {
        case .login(let command):
            let how = command.map { ":   \(AnswerLine.editable($0))" } ?? "."
            return screen.paragraph("Log in anew from a second terminal\(how)", indent: 2, hanging: 4)
                + screen.paragraph(
                    "If that does not work, do nothing: wait, and you are back where you were.", indent: 2)
                + screen.paragraph(
                    "If this line drops: log in again, type \"sudo latchkey\", and go on from here.", indent: 2)
        case .impossible(let reason), .needless(let reason):
            return screen.paragraph(reason, indent: 2)
        }
    }

    /// What stands before the cursor; it counts down.
    package var prompt: String {
        let seconds = "  \(secondsLeft) s   "
        let words = offered.joined(separator: " / ")
        if !canKeep { return seconds + "no new login yet > " }
        if takesEnter { return "\(seconds)\(words) [keep] > " }
        return "\(seconds)\(words) > "
    }

    /// What is to be asked for now.
    package var request: LineRequest {
        LineRequest(
            prompt: prompt,
            completions: ["keep", "revert", "more", "wait", "show"] + (canKeep ? [] : ["keep unproven"]),
            history: "change")
    }

    /// The words that are offered.
    private var offered: [String] { ["keep", "revert", isResumed ? "wait" : "more"] }

    private var canKeep: Bool {
        if case .login = proof { return hasFreshConnection }
        return true
    }

    /// Whether Enter alone keeps the rules: only for someone who has just come through them.
    private var takesEnter: Bool {
        if case .resumed(.some) = opening { return true }
        return false
    }

    /// Keeping them, with what is known of the proof: after a new login the old connection may speak for it.
    private var confirmation: Request {
        if case .needless = proof { return .confirm(sameConnection: true) }
        return .confirm(sameConnection: hasFreshConnection)
    }

    // MARK: - What happens

    /// Time has passed.
    package mutating func tick(secondsLeft: Int) {
        self.secondsLeft = max(0, secondsLeft)
    }

    /// A new login was seen, from this address if it is known; said once.
    ///
    /// - Parameters:
    ///   - peer: the address it came from.
    ///   - note: what is left unproven by it, if anything.
    /// - Returns: the lines to show.
    package mutating func freshConnection(from peer: IPAddress?, note: String? = nil) -> [Line] {
        guard !hasFreshConnection else { return [] }
        hasFreshConnection = true
        let from = peer.map { " from \($0)" } ?? ""
        return screen.paragraph("A new login\(from) got in: the door opens.", indent: 2, tone: .good)
            + (note.map { screen.paragraph($0, indent: 2, hanging: 4, tone: .warning) } ?? [])
    }

    /// Takes the line that was typed.
    package mutating func input(_ line: String) -> Turn {
        wasInterrupted = false
        let typed = AnswerLine.editable(line).trimmed
        let words = typed.lowercased().split(separator: " ").joined(separator: " ")
        switch words {
        case "":
            return takesEnter ? Turn([], request: confirmation) : Turn([])
        case "keep", "confirm", "yes", "y":
            if canKeep { return Turn([], request: confirmation) }
            return Turn(
                screen.paragraph(
                    """
                    No new login has been seen. Yours would survive rules that lock everyone out. To keep them all \
                    the same, type: keep unproven
                    """, indent: 2, tone: .warning))
        case "keep unproven":
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
                    "A change is pending: keep it, or revert it. Ctrl-C leaves it to itself.", indent: 2))
        case "?", "help":
            return Turn(help)
        default:
            let shown = typed.quoted()
            return Turn(
                screen.paragraph(
                    "\(shown) is none of: \(offered.joined(separator: ", ")). ? explains them.", indent: 2,
                    tone: .mistake))
        }
    }

    /// The person pressed Ctrl-C: the first time it is explained, the second time it is obeyed.
    package mutating func interrupted() -> Turn {
        guard wasInterrupted else {
            wasInterrupted = true
            return Turn(
                screen.paragraph(
                    """
                    The new rules are still in force; the old ones return in \(secondsLeft) s. To have them back \
                    now, type: revert. Ctrl-C again leaves, and they return all the same.
                    """, indent: 2, tone: .warning))
        }
        return Turn(
            screen.paragraph(
                """
                Left. The old rules return in \(secondsLeft) s, unless someone who logs in anew says: sudo latchkey \
                confirm
                """, indent: 2), request: .leave)
    }

    /// No more lines will come; the outcome is still waited for.
    package mutating func endOfInput() -> Turn {
        Turn(
            screen.paragraph(
                "No more input: the old rules return in \(secondsLeft) s, unless: sudo latchkey confirm", indent: 2),
            request: .wait)
    }

    /// The guard did not do what was asked, and said why.
    package func refused(_ reasons: [String]) -> [Line] {
        reasons.flatMap { screen.paragraph($0, indent: 2, hanging: 4, tone: .mistake) }
    }

    /// The guard waits longer.
    package mutating func extended(secondsLeft: Int) -> [Line] {
        let more = max(0, secondsLeft - self.secondsLeft)
        window = nil
        self.secondsLeft = secondsLeft
        // What was last heard of the seconds may be one too many.
        guard more > 1 else {
            return screen.paragraph("No more time can be had: an hour is the limit.", indent: 2, tone: .warning)
        }
        return screen.paragraph("More time: \(secondsLeft) s left.", indent: 2)
    }

    /// What is said at the end.
    package func ended(_ outcome: Ending) -> [Line] {
        [.blank] + ending(outcome)
    }

    private func ending(_ outcome: Ending) -> [Line] {
        switch outcome {
        case .kept(let saved, let undo, let notes):
            let files =
                saved.isEmpty
                ? "Kept until the next start; they are not saved for it."
                : "Kept, and saved for the next start (\(saved.joined(separator: ", ")))."
            return screen.paragraph(files, indent: 0, tone: .good)
                + notes.flatMap { screen.paragraph($0, indent: 0, hanging: 2, tone: .warning) }
                + (undo.map { screen.paragraph("Undo:  sudo latchkey snapshots restore \($0)", indent: 0, hanging: 7) }
                    ?? [])
        case .keptOnTrial:
            return screen.paragraph(
                "Kept; on the machine itself they would be saved for its next start.", indent: 0, tone: .good)
                + screen.paragraph(
                    "This was a trial: nothing of this machine has changed. For real: sudo latchkey", indent: 0)
        case .reverted(let reason, let verified):
            let back =
                verified ? "The earlier ones are back, and verified." : "The earlier ones were put back; not verified."
            let why =
                switch reason {
                case .deadline: "Nobody kept the new rules in \(window.map { "\($0) s" } ?? "time")."
                case .request: "The new rules are gone, as you asked."
                case .failure(let text): "The new rules could not be put in force: \(text)"
                }
            return screen.paragraph("\(why) \(back)", indent: 0, tone: verified ? .plain : .warning)
        case .failed(let reasons):
            return reasons.flatMap { screen.paragraph($0, indent: 0, hanging: 2, tone: .mistake) }
        }
    }

    private var help: [Line] {
        screen.definitions(
            [
                ("keep", "keeps the new rules for good and saves them for the next start"),
                ("revert", "puts the earlier rules back now"),
                ("more", "waits 60 s longer"),
                ("wait", "nothing; at the end of the countdown the earlier rules return"),
            ], indent: 2)
            + screen.paragraph(
                """
                A connection that is there already lives on under any rules: replies to it are let in. Only a new \
                login proves that you can come back, so latchkey looks for one before it keeps the rules.
                """, indent: 2)
    }
}
