/// The commands that stop another firewall manager for good, and those that start it again.
package struct ManagerControl: Codable, Sendable, Equatable {
    /// The manager's name.
    package let name: String
    /// The commands that disable and stop it, in order: each a program and its arguments.
    package let stop: [[String]]
    /// The commands that enable and start it again, in order.
    package let start: [[String]]
    /// The same for a person, later.
    package let startByHand: [[String]]

    /// The commands of a manager.
    package init(_ name: String, stop: [[String]], start: [[String]], startByHand: [[String]]? = nil) {
        self.name = name
        self.stop = stop
        self.start = start
        self.startByHand = startByHand ?? start
    }

    /// The commands of a manager whose units systemd starts.
    package init(_ name: String, units: [String]) {
        self.init(
            name, stop: [["systemctl", "disable", "--now"] + units], start: [["systemctl", "enable", "--now"] + units])
    }

    /// What a person types to have it back.
    package var startText: String {
        startByHand.map { "sudo " + $0.joined(separator: " ") }.joined(separator: "; ")
    }
}
