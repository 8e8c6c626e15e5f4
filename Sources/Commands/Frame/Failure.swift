import Host
import Interview
import ReadlineUI

/// Why a command failed: what failed, which rules are active now, and what to do next.
package struct Failure: Error, Equatable, Sendable {
    /// The program's exit status.
    package var status: ProgramStatus
    /// What failed, one sentence or several lines.
    package var what: String
    /// Which rules are active now; nil for a command that cannot change rules.
    package var activeRules: String?
    /// What to do next.
    package var next: String?
    /// The ID of the change that is in the way, or that the request was about.
    package var change: String?

    /// A failure with its evidence.
    package init(_ status: ProgramStatus, _ what: String, activeRules: String? = nil, next: String? = nil) {
        self.status = status
        self.what = what
        self.activeRules = activeRules
        self.next = next
    }

    /// What `activeRules` says when a command stops before it changes anything.
    package static let nothingChanged = "The previous rules are still active. Nothing was changed."
    /// What to do next where iptables cannot print the rules of a table.
    package static let otherBackend =
        "remove these rules, or apply answers with --backend nftables, which leaves the tables of iptables alone."
    /// What to do next where a tool is missing.
    package static let install = "install the missing package; on Debian: apt-get install iptables iproute2"
}

extension Failure {
    /// The failure for a system error, before anything was changed.
    package init(_ error: HostError) {
        switch error {
        case .toolMissing("nft", _):
            self.init(
                .missing, error.description, activeRules: Self.nothingChanged,
                next: "install it; on Debian: apt-get install nftables")
        case .toolMissing("ipset", _):
            self.init(
                .missing, error.description, activeRules: Self.nothingChanged,
                next: "install it; on Debian: apt-get install ipset")
        case .toolUnusable(_, let reason) where reason.contains("nf_tables"):
            self.init(
                .missing, error.description, activeRules: Self.nothingChanged,
                next: "load its modules (modprobe nf_tables), or use iptables: --backend legacy.")
        case .toolMissing, .toolUnusable:
            self.init(
                .missing, error.description, activeRules: Self.nothingChanged,
                next: Self.install)
        case .insecure:
            self.init(
                .badData, error.description, activeRules: Self.nothingChanged,
                next: "fix its owner and mode: chown root, chmod go-w")
        default:
            self.init(.failed, error.description)
        }
    }
}

extension Failure {
    /// The whole message; the only place where a failure becomes text.
    package var rendered: String {
        let parts = what.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        var lines = Wrapping.lines(String(parts[0]), first: "latchkey: ", rest: "    ")
        // The remaining lines are a list of FILE:LINE entries for editors and grep, so they are not wrapped.
        lines += parts.dropFirst().map(String.init)
        if let activeRules { lines += Wrapping.lines(activeRules, first: "  ", rest: "    ") }
        if let next { lines += Wrapping.lines(next, first: "  Next: ", rest: "    ") }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// Text for people, wrapped to the width of the screen, at most 80 columns.
package enum Wrapping {
    private static var screen: Int { Screen(columns: Terminal.columns).columns }

    /// Breaks text at spaces; a word longer than a line (a path, an address) is not split, so that it can be copied.
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
