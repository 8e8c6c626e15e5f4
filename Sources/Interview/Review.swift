import Netfilter
import Policy

/// The review: a table that shows who can reach which port.
struct Review {
    let context: QuestionContext
    let summary: ChangeSummary
    let screen: Screen

    private struct Row {
        let name: String
        let admins: String
        let others: String
        var note = ""
    }

    var lines: [Line] {
        let hasAdmins = !context.answers.admins.isEmpty
        let body = rows
        var lines: [Line]
        if screen.isWide {
            let nameWidth = max(26, (body.map { min($0.name.count, 40) }.max() ?? 0) + 2)
            let adminWidth = hasAdmins ? 14 : 0
            lines = [
                Line(
                    ("Review".padded(to: nameWidth + 3) + (hasAdmins ? "admins".padded(to: adminWidth) : "")
                        + (hasAdmins ? "everyone else" : "everyone")).trimmedAtEnd, tone: .heading)
            ]
            for row in body {
                let head =
                    "  " + row.name.padded(to: nameWidth) + " " + (hasAdmins ? row.admins.padded(to: adminWidth) : "")
                lines += continued(head, row)
            }
        } else {
            lines = [Line("Review", tone: .heading)]
            for row in body {
                let who = hasAdmins ? "admins \(row.admins), others \(row.others)" : row.others
                lines += screen.paragraph(row.name, indent: 2)
                lines += screen.paragraph(who, indent: 4)
                if !row.note.isEmpty { lines += screen.paragraph(row.note, indent: 4, tone: tone(row.note)) }
            }
        }
        return lines + remarks
    }

    /// A row of the table.
    ///
    /// Text that doesn't fit continues below its column.
    private func continued(_ head: String, _ row: Row) -> [Line] {
        let rest = row.note.isEmpty ? row.others : (row.others + "  ").padded(to: 9) + row.note
        let tone = tone(row.note)
        if head.count + rest.count <= screen.columns { return [Line(head + rest, tone: tone)] }
        return [row.others, row.note].filter { !$0.isEmpty }.enumerated().flatMap { number, cell in
            screen.wrap(cell, first: head.count, rest: head.count).enumerated().map { part, text in
                number + part == 0 ? Line(head + text.dropFirst(head.count), tone: tone) : Line(text, tone: tone)
            }
        }
    }

    private func tone(_ note: String) -> Tone { note.hasPrefix("!") ? .warning : .plain }

    // MARK: - Rows

    /// The ports that the answers open.
    ///
    /// One answer may open a port that another one limits.
    private var openings: [OpenedPorts] {
        context.answers.openings(context.catalog, sshPorts: context.discovery.sshPorts)
    }

    private func isOpenToAll(_ opening: OpenedPorts) -> Bool {
        let open = openings.filter { $0.source == .everyone && $0.limit == nil }.flatMap(\.ports)
        return opening.ports.allSatisfy { port in
            open.contains { $0.covers(port.range.lower, port.transport) && $0.covers(port.range.upper, port.transport) }
        }
    }

    private var rows: [Row] {
        let answers = context.answers
        let openings = self.openings
        var rows = openings.map(row)
        rows += closedListeners(openings)
        rows += published(openings)
        let ping =
            switch answers.ping {
            case .repliesOnly, .admins: "closed"
            case .limited: "a few per second"
            case .everyone: "open"
            }
        rows.append(Row(name: "ping", admins: "open", others: ping))
        rows.append(Row(name: "everything else", admins: "open", others: "closed"))
        return rows
    }

    private func row(_ opening: OpenedPorts) -> Row {
        let name =
            opening.label.isEmpty
            ? opening.ports.map(\.description).joined(separator: " ") : "\(opening.label) \(opening.ports.brief)"
        let others =
            switch isOpenToAll(opening) ? .everyone : opening.source {
            case .everyone: opening.limit == nil ? "open" : "limited"
            case .admins: "closed"
            case .networks(let networks): "only \(networks.shown.listed(limit: 3))"
            }
        let limit = opening.source == .admins ? nil : opening.limit.map { "\($0.words) from one address" }
        let notes = [limit, note(opening)].compactMap(\.self).filter { !$0.isEmpty }
        // A warning comes first: it decides about the colour.
        let note = notes.sorted { $0.hasPrefix("!") && !$1.hasPrefix("!") }.joined(separator: ", ")
        return Row(name: name, admins: "open", others: others, note: note)
    }

    private func note(_ opening: OpenedPorts) -> String {
        if opening.question == .ssh {
            guard let peer = context.discovery.peer, !peer.isLoopback else { return "" }
            let reachable = openings.filter { context.admits(peer, from: $0.source) }
            func isReachable(_ port: UInt16) -> Bool { reachable.contains { $0.covers(port, .tcp) } }
            if context.admits(peer, from: .admins) { return "" }
            if !opening.ports.contains(where: { isReachable($0.range.lower) }) { return "! locks you out, \(peer)" }
            if let port = context.discovery.peerPort, !isReachable(port) { return "! closes your port \(port)" }
            return ""
        }
        let listeners = context.discovery.listeners.filter { opening.covers($0.port, $0.transport) }
        if listeners.contains(where: { !$0.loopbackOnly }) { return "" }
        return listeners.isEmpty ? "nothing listens there" : "listens locally only"
    }

    /// Listeners that other machines can reach now and that the new rules block.
    private func closedListeners(_ openings: [OpenedPorts]) -> [Row] {
        var seen: Set<String> = []
        return context.discovery.worldListeners.compactMap { listener in
            if openings.contains(where: { $0.covers(listener.port, listener.transport) }) { return nil }
            let port =
                listener.transport == .tcp ? "\(listener.port)" : "\(listener.port)/\(listener.transport.rawValue)"
            let name = "\((listener.program ?? "port").shown) \(port)"
            guard seen.insert(name).inserted else { return nil }
            let blocked = listener.peers.filter { !context.admits($0, from: .admins) }.map(\.description)
                .withoutRepeats
            let verb = blocked.count == 1 ? "is" : "are"
            let note = blocked.isEmpty ? "" : "! \(blocked.listed(limit: 2)) \(verb) connected"
            return Row(name: name, admins: "open", others: "closed", note: note)
        }
    }

    /// The published ports of containers; with "replace", the rules that publish them go.
    private func published(_ openings: [OpenedPorts]) -> [Row] {
        let answers = context.answers
        guard answers.existing == .keep else { return [] }
        let services = openings.filter { $0.question != .ssh }
        return context.discovery.published.withoutRepeats.map { port in
            let name = "\(port.ports) " + (port.container.map { "container \($0.shown)" } ?? "published")
            guard answers.docker == .answers else {
                return Row(name: name, admins: "open", others: "open", note: "open to everyone, as Docker has it")
            }
            let covering = services.filter {
                $0.covers(port.ports.range.lower, port.ports.transport)
                    && $0.covers(port.ports.range.upper, port.ports.transport)
            }
            var limits: [String] = []
            for opening in covering {
                switch opening.source {
                case .everyone: return Row(name: name, admins: "open", others: "open")
                case .admins: break
                case .networks(let networks): limits += networks.sources
                }
            }
            let others = limits.isEmpty ? "closed" : "only \(limits.listed(limit: 3))"
            return Row(name: name, admins: "open", others: others)
        }
    }

    // MARK: - Below the table

    private var discoveredPorts: [Discovery.PublishedPort] {
        context.answers.existing == .keep ? context.discovery.published : []
    }

    private var remarks: [Line] {
        let answers = context.answers
        let families = answers.ipv6 ? "Same rules for IPv4 and IPv6." : "All other IPv6 is blocked."
        var lines = screen.paragraph(
            "Outgoing traffic and replies to it are allowed. \(families)", indent: 2, hanging: 4)
        if !answers.block.isEmpty {
            let exception =
                discoveredPorts.isEmpty || answers.docker == .answers ? "" : " They can still reach published ports."
            lines += screen.paragraph(
                "Blocked, except replies: \(answers.block.shown.listed(limit: 3)).\(exception)", indent: 2, hanging: 4)
        }
        if answers.log {
            lines += screen.paragraph("Dropped packets are logged: the first ten, then five per minute.", indent: 2)
        }
        let isSame = summary.rulesRemoved == 0 && summary.rulesAdded == 0
        let counts = isSame ? "no changes" : "\(summary.rulesRemoved) removed, \(summary.rulesAdded) added"
        lines += screen.paragraph(
            "Rules: \(counts). \"rules\" lists them, \"diff\" shows the difference.", indent: 2, hanging: 4)
        if !summary.replacedRules.isEmpty {
            let only = summary.replacedRules.count == 1
            lines += screen.paragraph(
                only
                    ? "This rule belongs to no known program and will be removed:"
                    : "These rules belong to no known program and will be removed:", indent: 2)
            lines += summary.replacedRules.prefix(6).flatMap {
                screen.paragraph(AnswerLine.editable($0), indent: 4, hanging: 6, tone: .warning)
            }
            let rest = summary.replacedRules.count - 6
            if rest > 0 { lines += screen.paragraph("and \(rest) more (see \"diff\")", indent: 4) }
        }
        let managers = Set(context.discovery.managers.map(\.name))
        let firewalls = context.discovery.otherFirewalls.filter { !managers.contains($0) }.map(\.shown)
        if !firewalls.isEmpty {
            let (verb, its) = firewalls.count == 1 ? ("is", "Its") : ("are", "Their")
            lines += screen.paragraph(
                "! \(firewalls.listed()) \(verb) also active. \(its) rules apply in addition to these: they can block what "
                    + "these allow. See: latchkey doctor", indent: 2, hanging: 4, tone: .warning)
        }
        lines += answers.notes.flatMap { screen.paragraph($0, indent: 2, hanging: 4) }
        lines += summary.notes.flatMap { screen.paragraph($0, indent: 2, hanging: 4) }
        if let obstacle = summary.obstacle {
            lines += screen.paragraph("! \(obstacle)", indent: 2, hanging: 4, tone: .warning)
        }
        return lines
    }
}
