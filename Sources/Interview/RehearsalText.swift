/// The lines below the review that tell how the rehearsal went.
struct RehearsalText {
    let report: RehearsalReport
    let questions: [Question]
    let screen: Screen

    var lines: [Line] {
        switch report {
        case .passed(let probes, let untried, let milliseconds, let login):
            let seconds = "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
            let entry = login.map { " From \($0) a new SSH login gets in." } ?? ""
            let rest = untried == 0 ? "" : " \(untried) more could not be tried."
            return screen.paragraph(
                "\(probes) of \(probes) as promised, \(seconds).\(rest)\(entry)", indent: 2, tone: .good)
        case .skipped(let reason):
            return screen.paragraph("Not rehearsed: \(reason)", indent: 2, hanging: 4, tone: .warning)
        case .lockout(let peer, let port):
            return screen.paragraph(
                "! From \(peer) no new SSH login (port \(port)) would get in: you would be locked out.", indent: 2,
                hanging: 4, tone: .mistake) + remedy
        case .failed(let probes, let differences):
            var lines = screen.paragraph(
                "! \(differences.count) of \(probes) not as promised:", indent: 2, hanging: 4, tone: .mistake)
            for difference in differences.prefix(8) {
                let (promised, seen) = difference.expectedOpen ? ("open", "closed") : ("closed", "open")
                let found = difference.untried.map { "not tried: \($0)" } ?? "found \(seen)"
                lines += screen.paragraph(
                    "\(difference.packet) from \(difference.from): promised \(promised), \(found)", indent: 4,
                    hanging: 6)
                if let rule = difference.rule {
                    lines += screen.paragraph("decided by: \(AnswerLine.editable(rule))", indent: 6, hanging: 8)
                }
            }
            return lines + remedy
        }
    }

    private var remedy: [Line] {
        guard let question = report.question, let index = questions.firstIndex(of: question) else {
            return screen.paragraph("It cannot be applied like this.", indent: 4)
        }
        return screen.paragraph("The answer to change is number \(index + 1): edit \(index + 1)", indent: 4)
    }
}
