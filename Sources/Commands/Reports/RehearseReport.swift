import Netfilter
import Policy
import Rehearsal

/// What `rehearse` reports with `--json`.
package struct RehearseReport: Report, Equatable {
    /// One packet, or one exchange of packets.
    package struct Probe: Equatable, Codable, Sendable {
        /// `ipv4` or `ipv6`.
        package var family: String
        /// Its source address.
        package var from: String
        /// `admin`, `stranger`, `server` or `you`.
        package var role: String
        /// `in` or `out`.
        package var direction: String
        /// `tcp`, `udp` or `icmp`.
        package var `protocol`: String
        /// Its destination port; null if it has none.
        @OrNull package var port: Int?
        /// `accept` or `drop`, according to the answers.
        package var expected: String
        /// `accept` or `drop`, as observed; null if it could not be tested.
        @OrNull package var observed: String?
        /// The rule or policy that decided; null if several may have.
        @OrNull package var rule: String?
        /// What was sent, in a word or two.
        package var packet: String
        /// The answer that covers it.
        @OrNull package var answer: String?
        /// The container and its port that a published port leads to, or the container that sends; null if none takes
        /// part.
        @OrNull package var container: String?
        /// The form of the rules: `kept` or `pending`.
        package var form: String
    }

    /// Whether all tested packets were as expected, and a new SSH login from the present address is allowed.
    package var passed: Bool
    /// How long the rehearsal took.
    package var milliseconds: Int
    /// All packets, under the kept rules and under the pending rules.
    package var probes: [Probe]
    /// How the rehearsal differed from the machine.
    package var notes: [String]
}

extension RehearseReport {
    /// The report of a rehearsal.
    init(_ result: RehearsalResult) {
        passed = result.refusal == nil
        milliseconds = result.milliseconds
        // A packet that does not arrive even without rules says nothing about the rules.
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
        container = expectation.container?.description
        self.form = form
    }
}

extension RehearsalResult {
    /// All notes: differences from the machine, what other programs block or open, packets that were not tested.
    var allNotes: [String] {
        notes + addressSpecificNotes + otherProgramsNotes + takeOverNotes + untestedNotes
    }

    /// The packets that could not be tested.
    private var untestedNotes: [String] {
        let notes = verdicts.compactMap { verdict in
            verdict.untried.map { reason in
                "Not tested: \(verdict.expectation.packet.title) from \(verdict.expectation.source): \(reason)."
            }
        }
        return notes.prefix(8) + (notes.count > 8 ? ["\(notes.count - 8) more packets could not be tested."] : [])
    }
}
