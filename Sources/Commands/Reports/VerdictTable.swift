import Netfilter
import Policy
import Rehearsal

/// The verdict table for people, grouped by sender, result and deciding rule.
struct VerdictTable {
    let verdicts: [Verdict]
    let isColoured: Bool

    fileprivate struct Sender: Hashable {
        let role: Expectation.Role
        let direction: Expectation.Direction
        let source: IPAddress
        let usesContainer: Bool
    }

    fileprivate struct Result: Hashable {
        let expected: Bool
        let observed: Bool
        let decision: String
        var isWrong: Bool { expected != observed }
    }

    var lines: [String] {
        let tested = verdicts.filter(\.isTested)
        var senders: [Sender] = []
        for verdict in tested where !senders.contains(verdict.sender) { senders.append(verdict.sender) }
        return senders.flatMap { sender in
            [heading(sender)] + rows(tested.filter { $0.sender == sender })
        }
    }

    private func heading(_ sender: Sender) -> String {
        let goal = sender.usesContainer ? ", to published ports" : ""
        return switch (sender.role, sender.direction) {
        case (.admin, _): "From an admin, \(sender.source)\(goal)"
        case (.stranger, _): "From a stranger, \(sender.source)\(goal)"
        case (.server, .out) where sender.usesContainer:
            "From a container, \(sender.source), with the replies"
        case (.you, _): "From you, \(sender.source)"
        case (.server, .in): "From the server to itself, \(sender.source)"
        case (.server, .out): "From the server to others, \(sender.source), with the replies"
        }
    }

    private func rows(_ verdicts: [Verdict]) -> [String] {
        var results: [Result] = []
        for verdict in verdicts where !results.contains(verdict.result) { results.append(verdict.result) }
        // Wrong results come first, then open ports.
        func rank(_ result: Result) -> Int { (result.isWrong ? 0 : 2) + (result.observed ? 0 : 1) }
        results.sort { rank($0) < rank($1) }
        return results.flatMap { result in
            row(result, verdicts.filter { $0.result == result })
        }
    }

    private func row(_ result: Result, _ verdicts: [Verdict]) -> [String] {
        let state = result.observed ? "open" : "closed"
        let isWrong = result.isWrong
        let mark = isWrong ? "! " : "  "
        let head = mark + state + String(repeating: " ", count: 8 - state.count)
        let indent = String(repeating: " ", count: 10)
        var text = VerdictTable.packets(verdicts.map(\.expectation))
        if isWrong { text += "  (expected \(result.expected ? "open" : "closed"))" }
        let lines =
            Wrapping.lines(text, first: head, rest: indent)
            + (result.decision.isEmpty
                ? [] : Wrapping.lines(result.decision, first: indent + "by ", rest: indent + "   "))
        guard isColoured else { return lines }
        let colour = isWrong ? "31;1" : result.observed ? "32" : "2"
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
    fileprivate var sender: VerdictTable.Sender {
        VerdictTable.Sender(
            role: expectation.role, direction: expectation.direction, source: expectation.source,
            usesContainer: expectation.container != nil)
    }

    fileprivate var result: VerdictTable.Result {
        let decider =
            switch decision {
            case .rule(let rule): rule.comment ?? rule.text
            case .earlier?, .otherPolicy?: decision?.text ?? ""
            case .policy(.drop): "the policy DROP: no rule allows it"
            case .policy(.accept): "the policy ACCEPT: no rule blocks it"
            case nil: ""
            }
        return VerdictTable.Result(
            expected: expectation.isAccepted, observed: observation == .accepted, decision: decider)
    }
}
