import Host
import Interview
import ReadlineUI

/// Why a command ends without having done what was asked, in the three things a person needs to know.
package struct Failure: Error, Equatable, Sendable {
    /// How the program ends.
    package var status: ProgramStatus
    /// What failed, one sentence or several lines.
    package var what: String
    /// Which rules are in force now; nil when there is no doubt that nothing changed and nobody would ask.
    package var inForce: String?
    /// What to do next.
    package var next: String?
    /// The change that stands in the way, or that was asked about, where it has a name.
    package var change: String?

    /// A failure with its evidence.
    package init(_ status: ProgramStatus, _ what: String, inForce: String? = nil, next: String? = nil) {
        self.status = status
        self.what = what
        self.inForce = inForce
        self.next = next
    }

    /// What stands for "in force" when a command stops before it touches anything.
    package static let nothingChanged = "what was before; nothing has been changed."
    /// What to do next where a tool is missing.
    package static let install = "install what is missing; on Debian: apt-get install iptables iproute2"
}

extension Failure {
    /// What a failure of the machine means to the user, as long as nothing has been changed.
    package init(_ error: HostError) {
        switch error {
        case .toolMissing, .toolUnusable:
            self.init(
                .missing, error.description, inForce: Self.nothingChanged,
                next: Self.install)
        case .insecure:
            self.init(.badData, error.description, inForce: Self.nothingChanged, next: "chown root, chmod go-w")
        default:
            self.init(.failed, error.description)
        }
    }
}

extension Failure {
    /// The whole message: the only place where a failure becomes text.
    package var rendered: String {
        let parts = what.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        var lines = Wrapping.lines(String(parts[0]), first: "latchkey: ", rest: "    ")
        // What follows is a list with a place each (FILE:LINE), for editors and grep: it stands as it is.
        lines += parts.dropFirst().map(String.init)
        if let inForce { lines += Wrapping.lines(inForce, first: "  In force: ", rest: "    ") }
        if let next { lines += Wrapping.lines(next, first: "  Next: ", rest: "    ") }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// Text for people, as wide as their screen, and never wider than 80 columns.
package enum Wrapping {
    private static var screen: Int { Screen(columns: Terminal.columns).columns }

    /// Breaks text at its spaces; a word longer than a line (a path, an address) stays whole, so that it can be copied.
    package static func lines(_ text: String, first: String = "", rest: String = "", width: Int? = nil) -> [String] {
        let width = width ?? screen
        var lines: [String] = []
        var line = first
        var isFresh = true
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            if !isFresh, line.count + 1 + word.count > width {
                lines.append(line)
                line = rest
                isFresh = true
            }
            line += (isFresh ? "" : " ") + word
            isFresh = false
        }
        return lines + [line]
    }
}
