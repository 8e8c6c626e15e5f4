import Netfilter
import Policy

/// The screen that the wizard shows before its first question.
struct StartScreen {
    let discovery: Discovery
    let mode: Wizard.Mode
    let screen: Screen

    var lines: [Line] {
        [.blank] + summary + keys + [.blank] + found + [.blank]
    }

    private var summary: [Line] {
        switch mode {
        case .setup:
            screen.paragraph(
                """
                latchkey sets up this server's firewall. Nothing changes until you have reviewed the new rules and \
                applied them. If you then lose your connection, latchkey rolls back to the previous rules.
                """, indent: 0)
        case .trial:
            screen.paragraph(
                """
                latchkey try: the rules, the countdown and the rollback are real, but they run in a throwaway \
                network namespace. Nothing on this machine changes.
                """, indent: 0)
        }
    }

    private var keys: [Line] {
        guard screen.isWide else {
            return screen.paragraph(
                "At any question: ? explains, back, show, quit. Enter accepts [default].", indent: 0)
        }
        return ["At any question:  ? explains   back   show   quit    Enter accepts [default]"]
    }

    private var found: [Line] {
        [Line("Found here", tone: .heading)] + screen.definitions(rows, indent: 2)
    }

    private var rows: [(term: String, meaning: String)] {
        var rows: [(term: String, meaning: String)] = []
        if let peer = discovery.peer {
            let port = discovery.peerPort.map { ", port \($0)" } ?? ""
            rows.append(("you", "\(peer), \(discovery.peerEvidence ?? "by SSH\(port)")"))
        } else {
            rows.append(("you", "no SSH connection detected"))
        }
        if !discovery.addresses.isEmpty { rows.append(("addresses", addresses)) }
        rows.append(("listening", discovery.listeners.isEmpty ? "nothing found" : listening))
        rows.append(("rules now", rules))
        let firewalls = discovery.otherFirewalls.map(\.shown)
        let docker = discovery.docker.map { $0 ? "; Docker: yes" : "; Docker: no" } ?? ""
        rows.append(("also here", "other firewalls: \(firewalls.isEmpty ? "none" : firewalls.listed())\(docker)"))
        return rows
    }

    /// The number of rules, and which programs they belong to.
    private var rules: String {
        guard let count = discovery.rulesNow else { return "could not be read (see: latchkey doctor)" }
        guard count > 0 else { return "none" }
        let owners = discovery.ruleOwners.map { "\($0.name.shown) \($0.count)" }
        if !owners.isEmpty { return "\(count): \(owners.joined(separator: ", "))" }
        guard !discovery.otherChains.isEmpty else { return "\(count)" }
        return "\(count), other programs' chains: \(discovery.otherChains.map(\.shown).listed())"
    }

    private var addresses: String {
        let interfaces = discovery.addresses.map(\.interface).withoutRepeats
        let groups = interfaces.map { interface in
            let own = discovery.addresses.filter { $0.interface == interface }.map(\.address.description)
            return "\(own.listed(limit: 3)) on \(interface.shown)"
        }
        return groups.prefix(3).joined(separator: ", ") + (groups.count > 3 ? ", and \(groups.count - 3) more" : "")
    }

    private var listening: String {
        var groups: [(name: String, ports: [String])] = []
        for listener in discovery.listeners.prefix(24) {
            let name = (listener.program ?? "?").shown + (listener.loopbackOnly ? " (local only)" : "")
            let port =
                listener.transport == .tcp ? "\(listener.port)" : "\(listener.port)/\(listener.transport.rawValue)"
            if let index = groups.firstIndex(where: { $0.name == name }) {
                if !groups[index].ports.contains(port) { groups[index].ports.append(port) }
            } else {
                groups.append((name, [port]))
            }
        }
        let texts = groups.map { group in
            let local = group.name.hasSuffix(" (local only)")
            let name = local ? String(group.name.dropLast(13)) : group.name
            return "\(name) \(group.ports.joined(separator: " "))\(local ? " (local only)" : "")"
        }
        return texts.joined(separator: ", ") + (discovery.listeners.count > 24 ? " and more" : "")
    }
}
