/// The lines below the review that show the result of the rehearsal.
struct RehearsalText {
    let report: RehearsalReport
    let questions: [Question]
    let screen: Screen

    var lines: [Line] {
        switch report {
        case .passed(let probes, let untried, let milliseconds, let login):
            let seconds = "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
            let newLogin = login.map { " A new SSH login from \($0) works." } ?? ""
            let rest = untried == 0 ? "" : " \(untried) more could not be tested."
            return screen.paragraph(
                "\(probes) of \(probes) packets as expected, \(seconds).\(rest)\(newLogin)", indent: 2, tone: .good)
        case .skipped(let reason):
            return screen.paragraph("Not rehearsed: \(reason)", indent: 2, hanging: 4, tone: .warning)
        case .lockout(let peer, let port):
            return screen.paragraph(
                "! A new SSH login from \(peer) (port \(port)) would be blocked. You would be locked out.", indent: 2,
                hanging: 4, tone: .mistake) + remedy
        case .failed(let probes, let differences):
            var lines = screen.paragraph(
                "! \(differences.count) of \(probes) packets not as expected:", indent: 2, hanging: 4, tone: .mistake)
            for difference in differences.prefix(8) {
                let (expected, observed) = difference.expectedOpen ? ("open", "closed") : ("closed", "open")
                let found = difference.untried.map { "not tested: \($0)" } ?? "found \(observed)"
                lines += screen.paragraph(
                    "\(difference.packet) from \(difference.from): expected \(expected), \(found)", indent: 4,
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
            return screen.paragraph("These rules can't be applied.", indent: 4)
        }
        return screen.paragraph("Change answer \(index + 1): type \"edit \(index + 1)\"", indent: 4)
    }
}
