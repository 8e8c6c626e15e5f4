/// One result of `doctor`.
package struct Finding: Codable, Equatable, Sendable {
    /// What it means for latchkey.
    package enum State: String, CaseIterable, Codable, Sendable {
        /// Works.
        case ok
        /// Worth knowing.
        case note
        /// latchkey works, but with a limitation.
        case warning
        /// latchkey cannot work without it.
        case missing
    }

    /// What was checked, in one or two words.
    package var subject: String
    /// What it means for latchkey.
    package var state: State
    /// What was found.
    package var detail: String
    /// What to do about it; nil if there is nothing to do.
    @OrNull package var remedy: String?

    /// A finding without a problem.
    package static func ok(_ subject: String, _ detail: String) -> Finding {
        Finding(subject: subject, state: .ok, detail: detail, remedy: nil)
    }

    /// A finding with a remedy.
    package static func found(_ state: State, _ subject: String, _ detail: String, remedy: String) -> Finding {
        Finding(subject: subject, state: state, detail: detail, remedy: remedy)
    }
}

/// What `doctor` reports.
package struct DoctorReport: Report, Equatable {
    /// The version of latchkey.
    package var version: String
    /// The findings, in the order in which a change depends on them.
    package var findings: [Finding]

    /// A report of findings.
    package init(version: String = Version.number, findings: [Finding]) {
        self.version = version
        self.findings = findings
    }

    /// The exit status: 69 if latchkey cannot work here.
    package var status: ProgramStatus { findings.contains { $0.state == .missing } ? .missing : .done }

    /// The report for people: plain lines of at most 80 columns.
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
        if missing > 0 { return "latchkey cannot work here: see the lines marked \"missing\"." }
        if warnings > 0 { return "latchkey works here, with limitations: see the lines marked \"warning\"." }
        return "latchkey works here."
    }

    private enum CodingKeys: String, CodingKey { case version, findings }
}

extension String {
    fileprivate func filled(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(1, width - count))
    }
}
