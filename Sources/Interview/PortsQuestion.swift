import Netfilter
import Policy

/// The question "Any other ports?".
struct PortsQuestion: QuestionScript {
    /// From so many ports on a range is called wide: calls and file transfers need some hundreds (RFC 3550, RFC 959).
    private static let wide = 4096

    func title(_ context: QuestionContext) -> String { "Any other ports?" }

    func remark(_ context: QuestionContext) -> String {
        let listeners = uncovered(context)
        let programs = listeners.map { ($0.program ?? "?").shown }.withoutRepeats
        if let only = programs.first, only != "?", programs.count == 1, listeners.map(\.port).withoutRepeats.count == 1
        {
            return "\(only) listens on \(listeners[0].port) to the world now"
        }
        let groups = programs.prefix(4).map { program in
            let ports = listeners.filter { ($0.program ?? "?").shown == program }.map { "\($0.port)" }.withoutRepeats
            return ([program] + ports.prefix(4)).joined(separator: " ") + (ports.count > 4 ? " ..." : "")
        }
        return groups.isEmpty ? "" : "open now: " + groups.joined(separator: ", ") + (programs.count > 4 ? " ..." : "")
    }

    /// What others can reach now and the answers so far would close.
    private func uncovered(_ context: QuestionContext) -> [Discovery.Listener] {
        let openings = context.answers.openings(context.catalog, sshPorts: context.discovery.sshPorts)
        return context.discovery.worldListeners.filter { listener in
            !openings.contains { $0.question != .ports && $0.covers(listener.port, listener.transport) }
        }
    }

    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line] { [] }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            Programs wait for connections behind numbered doors, the ports. Give the number and the protocol that \
            the program's manual names: tcp (most of them) or udp (games, calls, VPNs). They will be open to \
            everyone. Two numbers with a dash between are a range. What is already open by a service's name need \
            not be here.
            """)
            + screen.examples(["8080/tcp", "8080/tcp 60000-61000/udp", "none"])
    }

    func proposal(_ context: QuestionContext) -> String { "none" }

    func render(_ answers: Answers) -> String {
        answers.ports.isEmpty ? "none" : answers.ports.map(\.description).joined(separator: " ")
    }

    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers {
        var answers = context.answers
        if line.onlyWord == "none" {
            answers.ports = []
            return answers
        }
        var ports: [PortSpec] = []
        var mistakes: [AnswerMistake.Part] = []
        for word in line.lowercased {
            if let message = Self.hint(word, context) {
                mistakes.append(.init(text: word, message: message))
                continue
            }
            do throws(PortError) {
                ports.append(try PortSpec(parsing: word))
            } catch {
                mistakes.append(.init(text: word, message: error.message))
            }
        }
        guard mistakes.isEmpty else { throw AnswerMistake(mistakes) }
        answers.ports = ports.withoutRepeats
        return answers
    }

    /// What was probably meant, for slips that the port's own message would not explain.
    private static func hint(_ word: String, _ context: QuestionContext) -> String? {
        if word == "none" { return "\"none\" goes alone: leave it out, or leave the ports out." }
        if word == "from" {
            return "Ports here are open to everyone. Services can be limited with \"from\": type back."
        }
        if context.catalog[word] != nil { return "\(word.quoted()) is a service: type \"back\" and name it there." }
        if let number = UInt16(word), number > 0 {
            return "\(word.quoted()) lacks its protocol: \(word)/tcp (most programs), or \(word)/udp."
        }
        return nil
    }

    func completions(_ context: QuestionContext) -> [String] {
        uncovered(context).map { "\($0.port)/\($0.transport.rawValue)" }.withoutRepeats + ["none"]
    }

    /// Whether a port is likely that service's: many programs share 3000 and 8080, nobody shares a database's port.
    private func speaks(_ template: ServiceTemplate, at port: PortSpec, _ context: QuestionContext) -> Bool {
        let here = context.discovery.listeners.filter { listener in
            port.covers(listener.port, listener.transport)
                && template.ports.contains { $0.covers(listener.port, listener.transport) }
        }.compactMap(\.program)
        return here.isEmpty ? template.group == .databases : here.contains { template.programs.contains($0) }
    }

    func warnings(_ context: QuestionContext) -> [String] {
        let answers = context.answers
        var warnings = answers.ports.filter { $0.range.count >= Self.wide }.map {
            "\($0) are \($0.range.count) ports, open to everyone: whatever listens there, now or later."
        }
        for template in context.catalog.all where template.name != "ssh" && template.defaultSource == .admins {
            let risky = answers.ports.first { open in
                template.ports.contains { $0.overlaps(open) } && speaks(template, at: open, context)
            }
            if let risky {
                warnings.append("\(template.name) has \(risky): it would be open to everyone, not only administrators.")
            }
        }
        for port in answers.ports
        where !context.discovery.listeners.contains(where: { listener in
            PortSpec(range: PortRange(listener.port), transport: listener.transport).overlaps(port)
        }) && !context.discovery.listeners.isEmpty {
            warnings.append("Nothing listens on \(port) now: it will be open all the same.")
        }
        if let from = answers.ssh?.from, from != .everyone {
            let ssh = context.sshPorts.first { port in answers.ports.contains { $0.covers(port, .tcp) } }
            if let ssh {
                warnings.append("\(ssh)/tcp is SSH's port: this opens it to everyone, whatever you said there.")
            }
        }
        let openings = answers.openings(context.catalog, sshPorts: context.discovery.sshPorts)
        let closed = context.discovery.worldListeners.filter { listener in
            listener.peers.isEmpty && !openings.contains { $0.covers(listener.port, listener.transport) }
        }
        if !closed.isEmpty {
            let names = closed.map { listener in
                let suffix = listener.transport == .tcp ? "" : "/\(listener.transport.rawValue)"
                return "\((listener.program ?? "port").shown) \(listener.port)\(suffix)"
            }
            warnings.append("Open now, and to be closed to all but administrators: \(names.withoutRepeats.listed()).")
        }
        for listener in context.discovery.worldListeners {
            let cut = listener.peers.filter { peer in
                !openings.contains {
                    $0.covers(listener.port, listener.transport) && answers.admits(peer, from: $0.source)
                }
                    && !answers.admits(peer, from: .admins)
            }
            guard !cut.isEmpty else { continue }
            let program = listener.program.map { " (\($0.shown))" } ?? ""
            let who = cut.map(\.description).withoutRepeats
            let them = who.count == 1 ? "it" : "them"
            warnings.append(
                "Port \(listener.port)\(program) is in use by \(who.listed(limit: 3)) right now "
                    + "and will be closed to \(them).")
        }
        return warnings
    }
}

extension PortSpec {
    /// Whether any port is in both.
    func overlaps(_ other: PortSpec) -> Bool {
        transport == other.transport && range.lower <= other.range.upper && other.range.lower <= range.upper
    }
}
