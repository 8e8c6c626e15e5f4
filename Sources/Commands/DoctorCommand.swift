import ArgumentParser
import Host
import Policy
import SafeApply

/// `latchkey doctor`: what latchkey finds on this machine, and what to do about it.
struct DoctorCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check this machine, and show what to do about each problem.",
        discussion: "The output contains no addresses, user names or keys: you can paste it into a bug report.")

    @OptionGroup var templates: TemplateOptions
    @OptionGroup var backend: BackendOptions
    @OptionGroup var report: ReportOptions

    func run(in context: CommandContext) async throws -> ProgramStatus {
        let machine = Examination(environment: ChangeRunner(in: context).environment, isRoot: context.userID == 0)
        var findings = [machine.system, machine.rights]
        findings += await machine.tools(backend)
        findings += await machine.rules(backend)
        findings += await machine.ssh()
        findings.append(machine.listening)
        findings += await machine.firewalls(backend)
        findings += await machine.observation()
        findings += await machine.published(backend)
        findings += await machine.rehearsal(backend)
        findings += [machine.supervision, await machine.persistence(backend)]
        findings += files(in: context)
        let shown = DoctorReport(findings: findings)
        try context.console.result(report.json ? shown.json() : shown.text)
        return shown.status
    }

    /// The administrator's own files: templates and kept answers.
    private func files(in context: CommandContext) -> [Finding] {
        var findings: [Finding] = []
        do {
            let own = try templates.read(in: context).catalog().all.count { $0.origin != .builtIn }
            findings.append(.ok("templates", own == 0 ? "built-in only" : "built-in, and \(own) of your own"))
        } catch {
            findings.append(
                .found(
                    .missing, "templates", error.what.split(separator: "\n").joined(separator: "; "),
                    remedy: error.next ?? "Correct the file, or remove it."))
        }
        guard SecureFiles.exists(context.layout.answers) else {
            return findings + [.ok("answers", "none saved yet")]
        }
        return findings + [.ok("answers", "saved in \(context.layout.answers)")]
    }
}
