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
    ///
    /// - Parameters:
    ///   - name: the manager's name.
    ///   - units: its units.
    ///   - companions: units that are only disabled, and enabled again.
    ///   - clearing: commands that open its firewall, where stopping the units does not.
    package init(_ name: String, units: [String], companions: [String] = [], clearing: [[String]] = []) {
        let disable = companions.isEmpty ? [] : [["systemctl", "disable"] + companions]
        let enable = companions.isEmpty ? [] : [["systemctl", "enable"] + companions]
        self.init(
            name, stop: disable + [["systemctl", "disable", "--now"] + units] + clearing,
            start: [["systemctl", "enable", "--now"] + units] + enable)
    }

    /// The commands of a manager whose services OpenRC starts.
    ///
    /// - Parameters:
    ///   - name: the manager's name.
    ///   - services: its services, and the runlevels that start them.
    ///   - clearing: commands that open its firewall, where stopping the services does not.
    ///   - areStopped: whether the services are stopped, besides being disabled.
    package init(
        _ name: String, services: [(name: String, levels: [String])], clearing: [[String]] = [], areStopped: Bool = true
    ) {
        let links = services.flatMap { service in service.levels.map { [service.name, $0] } }
        let disable = links.map { ["rc-update", "del"] + $0 }
        let enable = links.map { ["rc-update", "add"] + $0 }
        let stop = services.map { ["rc-service", "--ifstarted", $0.name, "stop"] }
        let start = services.map { ["rc-service", $0.name, "start"] }
        guard areStopped else {
            self.init(
                name, stop: disable, start: enable,
                startByHand: enable + services.map { ["rc-service", $0.name, "restart"] })
            return
        }
        self.init(name, stop: disable + stop + clearing, start: enable + start)
    }

    /// What a person types to have it back.
    package var startText: String {
        startByHand.map { "sudo " + $0.joined(separator: " ") }.joined(separator: "; ")
    }
}
