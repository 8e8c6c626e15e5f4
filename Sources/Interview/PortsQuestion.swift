import Netfilter
import Policy

/// The question "Any other ports?".
struct PortsQuestion: QuestionScript {
    /// The size from which a range causes a warning.
    ///
    /// Calls and file transfers need a few hundred ports (RFC 3550, RFC 959).
    private static let largeRange = 4096

    func title(_ context: QuestionContext) -> String { "Any other ports?" }

    func remark(_ context: QuestionContext) -> String {
        let listeners = blockedListeners(context)
        let programs = listeners.map { ($0.program ?? "?").shown }.withoutRepeats
        if let only = programs.first, only != "?", programs.count == 1, listeners.map(\.port).withoutRepeats.count == 1
        {
            return "\(only) listens on \(listeners[0].port), open to everyone"
        }
        let groups = programs.prefix(4).map { program in
            let ports = listeners.filter { ($0.program ?? "?").shown == program }.map { "\($0.port)" }.withoutRepeats
            return ([program] + ports.prefix(4)).joined(separator: " ") + (ports.count > 4 ? " ..." : "")
        }
        return groups.isEmpty ? "" : "open now: " + groups.joined(separator: ", ") + (programs.count > 4 ? " ..." : "")
    }

    /// Listeners that other machines can reach now, and that the answers so far would block.
    private func blockedListeners(_ context: QuestionContext) -> [Discovery.Listener] {
        let openings = context.answers.openings(context.catalog, sshPorts: context.discovery.sshPorts)
        return context.discovery.worldListeners.filter { listener in
            !openings.contains { $0.question != .ports && $0.covers(listener.port, listener.transport) }
        }
    }

    func introduction(_ context: QuestionContext, _ screen: Screen) -> [Line] { [] }

    func help(_ context: QuestionContext, _ screen: Screen) -> [Line] {
        screen.paragraph(
            """
            A program waits for connections on a port, which is a number. Enter the port number and the protocol \
            that the program's manual gives: tcp (most programs) or udp (games, calls, VPNs). These ports will be \
            open to everyone, unless you add "from" with addresses. For a range, enter two numbers with a dash \
            between them. You don't need to repeat the ports of services that you chose.
            """)
            + screen.examples(["8080/tcp 60000-61000/udp", "8080/tcp from 192.168.1.0/24", "none"])
    }

    func proposal(_ context: QuestionContext) -> String { "none" }

    func render(_ answers: Answers) -> String {
        answers.ports.isEmpty ? "none" : answers.ports.map(Self.words).joined(separator: " ")
    }

    func parse(_ line: AnswerLine, _ context: QuestionContext) throws(AnswerMistake) -> Answers {
        var answers = context.answers
        if line.onlyWord == "none" {
            answers.ports = []
            return answers
        }
        var reader = PortReader(context)
        for word in line.words { reader.read(word) }
        answers.ports = try reader.finish()
        return answers
    }

    /// A port as the user would type it.
    private static func words(_ choice: PortChoice) -> String {
        (["\(choice.ports)"] + (choice.from == .everyone ? [] : ["from \(choice.from.words)"])
            + (choice.limit.map { [$0.clause] } ?? [])).joined(separator: " ")
    }

    /// A better message for common mistakes that the port parser would not explain.
    fileprivate static func hint(_ word: String, _ context: QuestionContext) -> String? {
        if word == "none" { return "\"none\" can't be combined with ports. Remove one or the other." }
        if context.catalog[word] != nil { return "\(word.quoted()) is a service. Type \"back\" and enter it there." }
        if let number = UInt16(word), number > 0 {
            return "\(word.quoted()) needs a protocol: \(word)/tcp (most programs) or \(word)/udp."
        }
        return nil
    }

    func completions(_ context: QuestionContext) -> [String] {
        blockedListeners(context).map { "\($0.port)/\($0.transport.rawValue)" }.withoutRepeats + [
            "from", "limited", "none",
        ]
    }

    /// Whether a port probably belongs to the service.
    ///
    /// Many programs use 3000 or 8080, but few use a database's port.
    private func isLikely(_ template: ServiceTemplate, at port: PortSpec, _ context: QuestionContext) -> Bool {
        let programs = context.discovery.listeners.filter { listener in
            port.covers(listener.port, listener.transport)
                && template.ports.contains { $0.covers(listener.port, listener.transport) }
        }.compactMap(\.program)
        return programs.isEmpty ? template.group == .databases : programs.contains { template.programs.contains($0) }
    }

    func warnings(_ context: QuestionContext) -> [String] {
        let answers = context.answers
        let open = answers.ports.filter { $0.from == .everyone }.map(\.ports)
        var warnings = open.filter { $0.range.count >= Self.largeRange }.map {
            "\($0) opens \($0.range.count) ports to everyone, for any program that listens there now or later."
        }
        for template in context.catalog.all where template.name != "ssh" && template.defaultSource == .admins {
            let risky = open.first { port in
                template.ports.contains { $0.overlaps(port) } && isLikely(template, at: port, context)
            }
            if let risky {
                warnings.append("\(risky) would open \(template.name) to everyone, not only to administrators.")
            }
        }
        for port in answers.ports.map(\.ports)
        where !context.discovery.listeners.contains(where: { listener in
            PortSpec(range: PortRange(listener.port), transport: listener.transport).overlaps(port)
        }) && !context.discovery.listeners.isEmpty {
            warnings.append("Nothing is listening on \(port) now. It will be open anyway.")
        }
        if let from = answers.ssh?.from, from != .everyone {
            let ssh = context.sshPorts.first { port in open.contains { $0.covers(port, .tcp) } }
            if let ssh {
                warnings.append("\(ssh)/tcp is the SSH port. This opens it to everyone, despite your answer there.")
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
            warnings.append(
                "Open now, but will be blocked for everyone except administrators: \(names.withoutRepeats.listed()).")
        }
        for listener in context.discovery.worldListeners {
            let blocked = listener.peers.filter { peer in
                !openings.contains {
                    $0.covers(listener.port, listener.transport) && context.admits(peer, from: $0.source)
                }
                    && !context.admits(peer, from: .admins)
            }
            guard !blocked.isEmpty else { continue }
            let program = listener.program.map { " (\($0.shown))" } ?? ""
            let who = blocked.map(\.description).withoutRepeats
            warnings.append(
                "Port \(listener.port)\(program) is in use by \(who.listed(limit: 3)). "
                    + "New connections from there will be blocked.")
        }
        return warnings
    }
}

/// Parses "8080/tcp from 192.168.1.0/24 9000/udp limited".
///
/// What follows "from" belongs to the port before it.
private struct PortReader {
    private let context: QuestionContext
    private var choices: [PortChoice] = []
    private var mistakes: [AnswerMistake.Part] = []
    private var clause: ClauseReader?

    init(_ context: QuestionContext) { self.context = context }

    mutating func read(_ word: String) {
        // A port looks like a network: 8080/tcp.
        let ports = try? PortSpec(parsing: word.lowercased())
        if ports == nil, clause?.read(word) == true { return }
        if clause == nil, ClauseReader.begins(word) {
            mistakes.append(
                .init(
                    text: word,
                    message: "\(word.quoted()) needs a port before it, for example: 8080/tcp from 192.168.1.0/24"))
            return
        }
        finishClause()
        let plain = word.lowercased()
        if let message = PortsQuestion.hint(plain, context) {
            mistakes.append(.init(text: plain, message: message))
            return
        }
        do throws(PortError) {
            choices.append(PortChoice(try PortSpec(parsing: plain)))
            clause = ClauseReader(context, of: "port")
        } catch {
            mistakes.append(.init(text: plain, message: error.message))
        }
    }

    private mutating func finishClause() {
        guard var ended = clause, !choices.isEmpty else { return }
        ended.finish()
        mistakes += ended.mistakes
        choices[choices.count - 1].from = ended.from ?? .everyone
        choices[choices.count - 1].limit = ended.limit
        clause = nil
    }

    mutating func finish() throws(AnswerMistake) -> [PortChoice] {
        finishClause()
        guard mistakes.isEmpty else { throw AnswerMistake(mistakes) }
        return choices.withoutRepeats
    }
}

extension PortSpec {
    /// Whether both have at least one port in common.
    func overlaps(_ other: PortSpec) -> Bool {
        transport == other.transport && range.lower <= other.range.upper && other.range.lower <= range.upper
    }
}
