import Netfilter
import Policy
import Rehearsal

/// What `rehearse` reports with `--json`.
package struct RehearseReport: Report, Equatable {
    /// One packet or exchange of packets.
    package struct Probe: Equatable, Codable, Sendable {
        /// `ipv4` or `ipv6`.
        package var family: String
        /// Where it came from.
        package var from: String
        /// `admin`, `stranger`, `server` or `you`.
        package var role: String
        /// `in` or `out`.
        package var direction: String
        /// `tcp`, `udp` or `icmp`.
        package var `protocol`: String
        /// The port it went to; null where there is none.
        @OrNull package var port: Int?
        /// `accept` or `drop`, by the answers.
        package var expected: String
        /// `accept` or `drop`, as seen; null where nothing could be told.
        @OrNull package var observed: String?
        /// The rule or policy that decided; null where several may have.
        @OrNull package var rule: String?
        /// What was sent, in a word or two.
        package var packet: String
        /// The answer that speaks of it.
        @OrNull package var answer: String?
        /// The rules under which: `kept`, or `pending` for the form in which they wait to be kept.
        package var form: String
    }

    /// Whether everything that could be tried fared as promised, and the present SSH connection gets in anew.
    package var passed: Bool
    /// How long the whole took.
    package var milliseconds: Int
    /// Every packet, under the rules that are kept and under the pending ones.
    package var probes: [Probe]
    /// What was not as on the machine.
    package var notes: [String]
}

extension RehearseReport {
    /// The report of a rehearsal.
    init(_ result: RehearsalResult) {
        passed = result.refusal == nil
        milliseconds = result.milliseconds
        // What does not get through without rules either has nothing to tell.
        probes =
            result.verdicts.filter(\.isTested).map { Probe($0, form: "kept") }
            + result.pending.filter(\.isTested).map { Probe($0, form: "pending") }
        notes = result.allNotes
    }
}

extension RehearseReport.Probe {
    init(_ verdict: Verdict, form: String) {
        let expectation = verdict.expectation
        family = expectation.family.rawValue
        from = expectation.source.description
        role = expectation.role.rawValue
        direction = expectation.direction.rawValue
        `protocol` = expectation.packet.protocolName
        port = expectation.packet.port.map(Int.init)
        expected = expectation.isAccepted ? "accept" : "drop"
        observed =
            switch verdict.observation {
            case .accepted: "accept"
            case .dropped: "drop"
            case .untested: nil
            }
        rule = verdict.decision?.text
        packet = expectation.packet.title
        answer = expectation.answer?.title
        self.form = form
    }
}

extension RehearsalResult {
    /// What was not as on the machine, what another program has against a stranger, what could not be tried.
    var allNotes: [String] { notes + personalNotes + untestedNotes }

    /// What could not be tried, in sentences.
    private var untestedNotes: [String] {
        let notes = verdicts.compactMap { verdict in
            verdict.untried.map { reason in
                "Not tried: \(verdict.expectation.packet.title) from \(verdict.expectation.source): \(reason)."
            }
        }
        return notes.prefix(8) + (notes.count > 8 ? ["Nor could \(notes.count - 8) more be tried."] : [])
    }
}
