/// Where latchkey's files lie: the paths of latchkey(8), FILES, all of them under one root folder.
package struct Layout: Sendable, Equatable {
    /// "" for the machine itself, else the folder that `LATCHKEY_ROOT` names, without a slash at its end.
    package let root: String

    /// The layout under a root folder; nil, "" and "/" mean the machine itself.
    package init(root: String? = nil) {
        var path = root ?? ""
        while path.hasSuffix("/") { path.removeLast() }
        self.root = path
    }

    /// A path of the machine, put under the root.
    package func path(_ absolute: String) -> String { root + absolute }

    /// The answers of the change that was last kept.
    package var answers: String { path("/etc/latchkey/answers.yaml") }
    /// The administrator's service and rule templates.
    package var templates: String { path("/etc/latchkey/templates") }
    /// What outlives a reboot.
    package var state: String { path("/var/lib/latchkey") }
    /// One folder a snapshot.
    package var snapshots: String { state + "/snapshots" }
    /// Who changed what, a line each.
    package var history: String { state + "/history.jsonl" }
    /// What a reboot clears: lock, journal, socket.
    package var run: String { path("/run/latchkey") }
    /// Held by the guard of a pending change (flock(2)).
    package var lock: String { run + "/lock" }
    /// Held by whoever starts the guard again when it dies (flock(2)).
    package var supervisorLock: String { run + "/supervisor.lock" }
    /// Held by whoever begins a change, until it is pending (flock(2)).
    package var beginLock: String { run + "/begin.lock" }
    /// Where the pending change stands, and how the last one ended.
    package var journal: String { run + "/journal.json" }
    /// When the gates of the pending trial were renewed last.
    package var renewal: String { run + "/renewed" }
    /// The guard's socket.
    package var socket: String { run + "/guard.sock" }
}
