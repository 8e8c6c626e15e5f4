/// One thing that `doctor` looked at.
package struct Finding: Codable, Equatable, Sendable {
    /// What it means for latchkey.
    package enum State: String, CaseIterable, Codable, Sendable {
        /// As it should be.
        case ok
        /// Worth knowing.
        case note
        /// latchkey works, but something here can surprise you.
        case warning
        /// latchkey cannot do its work like this.
        case missing
    }

    /// What was looked at, one or two words.
    package var subject: String
    /// What it means for latchkey.
    package var state: State
    /// What was seen, in sentences.
    package var detail: String
    /// What to do about it; nil where there is nothing to do.
    @OrNull package var remedy: String?

    /// A finding that is as it should be.
    package static func ok(_ subject: String, _ detail: String) -> Finding {
        Finding(subject: subject, state: .ok, detail: detail, remedy: nil)
    }

    /// A finding with something to do about it.
    package static func found(_ state: State, _ subject: String, _ detail: String, remedy: String) -> Finding {
        Finding(subject: subject, state: state, detail: detail, remedy: remedy)
    }
}

/// What `doctor` reports.
package struct DoctorReport: Report, Equatable {
    /// Which latchkey looked.
    package var version: String
    /// What it found, in the order in which a change needs it.
    package var findings: [Finding]

    /// A report of findings.
    package init(version: String = Version.number, findings: [Finding]) {
        self.version = version
        self.findings = findings
    }

    /// How `doctor` ends: 69 where latchkey cannot do its work.
    package var status: ProgramStatus { findings.contains { $0.state == .missing } ? .missing : .done }

    /// The report as a person pastes it: plain lines of at most 80 columns.
    package var text: String {
        let width = (findings.map(\.subject.count).max() ?? 0) + 2
        let rest = String(repeating: " ", count: 9 + width)
        var lines = ["latchkey \(version)"]
        for finding in findings {
            let first = finding.state.rawValue.filled(to: 9) + finding.subject.filled(to: width)
            lines += Wrapping.lines(finding.detail, first: first, rest: rest)
            if let remedy = finding.remedy { lines += Wrapping.lines(remedy, first: "\(rest)-> ", rest: "\(rest)   ") }
        }
        return lines.joined(separator: "\n") + "\n\n\(summary)\n"
    }

    private var summary: String {
        let counts = Finding.State.allCases.map { state in (state, findings.count { $0.state == state }) }
        let missing = counts.first { $0.0 == .missing }?.1 ?? 0
        let warnings = counts.first { $0.0 == .warning }?.1 ?? 0
        if missing > 0 { return "latchkey cannot do its work here: see what is missing above." }
        if warnings > 0 { return "latchkey can do its work here; what to watch is marked \"warning\"." }
        return "latchkey can do its work here."
    }

    private enum CodingKeys: String, CodingKey { case version, findings }
}

extension String {
    fileprivate func filled(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(1, width - count))
    }
}
