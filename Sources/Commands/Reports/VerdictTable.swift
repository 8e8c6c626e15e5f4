import Netfilter
import Policy
import Rehearsal

/// The verdict table for people: by who asks, and for each by what came of it and which rule decided.
struct VerdictTable {
    let verdicts: [Verdict]
    let isColoured: Bool

    fileprivate struct Asker: Hashable {
        let role: Expectation.Role
        let direction: Expectation.Direction
        let source: IPAddress
    }

    fileprivate struct Fate: Hashable {
        let expected: Bool
        let observed: Bool
        let decision: String
        var isWrong: Bool { expected != observed }
    }

    var lines: [String] {
        let tested = verdicts.filter(\.isTested)
        var askers: [Asker] = []
        for verdict in tested where !askers.contains(verdict.asker) { askers.append(verdict.asker) }
        return askers.flatMap { asker in
            [heading(asker)] + rows(tested.filter { $0.asker == asker })
        }
    }

    private func heading(_ asker: Asker) -> String {
        switch (asker.role, asker.direction) {
        case (.admin, _): "From an admin, \(asker.source)"
        case (.stranger, _): "From a stranger, \(asker.source)"
        case (.you, _): "From you, \(asker.source)"
        case (.server, .in): "From the server to itself, \(asker.source)"
        case (.server, .out): "Out from the server, \(asker.source), and the replies back in"
        }
    }

    private func rows(_ verdicts: [Verdict]) -> [String] {
        var fates: [Fate] = []
        for verdict in verdicts where !fates.contains(verdict.fate) { fates.append(verdict.fate) }
        // What is wrong comes first, then what is open.
        func rank(_ fate: Fate) -> Int { (fate.isWrong ? 0 : 2) + (fate.observed ? 0 : 1) }
        fates.sort { rank($0) < rank($1) }
        return fates.flatMap { fate in
            row(fate, verdicts.filter { $0.fate == fate })
        }
    }

    private func row(_ fate: Fate, _ verdicts: [Verdict]) -> [String] {
        let state = fate.observed ? "open" : "closed"
        let isWrong = fate.isWrong
        let mark = isWrong ? "! " : "  "
        let head = mark + state + String(repeating: " ", count: 8 - state.count)
        let indent = String(repeating: " ", count: 10)
        var text = VerdictTable.packets(verdicts.map(\.expectation))
        if isWrong { text += "  (promised \(fate.expected ? "open" : "closed"))" }
        let lines =
            Wrapping.lines(text, first: head, rest: indent)
            + (fate.decision.isEmpty ? [] : Wrapping.lines(fate.decision, first: indent + "by ", rest: indent + "   "))
        guard isColoured else { return lines }
        let colour = isWrong ? "31;1" : fate.observed ? "32" : "2"
        return lines.map { "\u{1B}[\(colour)m\($0)\u{1B}[0m" }
    }

    /// The packets in one line: `22 80 443/tcp, 53/udp, ping`.
    private static func packets(_ expectations: [Expectation]) -> String {
        var parts: [String] = []
        for name in ["tcp", "udp"] {
            let ports = expectations.compactMap { expectation -> UInt16? in
                switch (expectation.packet, expectation.sourcePort) {
                case (.tcp(let port), nil) where name == "tcp": port
                case (.udp(let port), nil) where name == "udp": port
                default: nil
                }
            }
            if !ports.isEmpty { parts.append(ports.sorted().map { "\($0)" }.joined(separator: " ") + "/\(name)") }
        }
        for expectation in expectations {
            switch (expectation.packet, expectation.sourcePort) {
            case (.tcp, nil), (.udp, nil): break
            case (let packet, let port?): parts.append("\(packet.title) from port \(port)")
            case (let packet, nil): parts.append(packet.title)
            }
        }
        return parts.joined(separator: ", ")
    }
}

extension Verdict {
    fileprivate var asker: VerdictTable.Asker {
        VerdictTable.Asker(
            role: expectation.role, direction: expectation.direction, source: expectation.source)
    }

    fileprivate var fate: VerdictTable.Fate {
        let decider =
            switch decision {
            case .rule(let rule): rule.comment ?? rule.text
            case .earlier?: decision?.text ?? ""
            case .policy(.drop): "the policy DROP: no rule lets it in"
            case .policy(.accept): "the policy ACCEPT: no rule keeps it out"
            case nil: ""
            }
        return VerdictTable.Fate(
            expected: expectation.isAccepted, observed: observation == .accepted, decision: decider)
    }
}
