import ArgumentParser
import Policy

/// `latchkey services`: the available service templates.
struct ServicesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "services", abstract: "List the services that answers can name, and the ports each one opens.",
        subcommands: [List.self, Show.self], defaultSubcommand: List.self)

    /// `latchkey services list`.
    struct List: ContextCommand {
        static let configuration = CommandConfiguration(abstract: "List all services.")

        @OptionGroup var templates: TemplateOptions
        @OptionGroup var report: ReportOptions

        func run(in context: CommandContext) async throws -> ProgramStatus {
            let reports = try templates.read(in: context).catalog().all.map(ServiceReport.init)
            guard !report.json else {
                try context.console.result(reports.json())
                return .done
            }
            let width = reports.map(\.name.count).max() ?? 0
            for report in reports {
                let name = report.name + String(repeating: " ", count: width - report.name.count)
                let lines = Wrapping.lines(
                    "\(report.title) (\(report.ports.joined(separator: ", ")))", first: "\(name)  ",
                    rest: String(repeating: " ", count: width + 2))
                try context.console.result(lines.joined(separator: "\n") + "\n")
            }
            return .done
        }
    }

    /// `latchkey services show NAME`.
    struct Show: ContextCommand {
        static let configuration = CommandConfiguration(abstract: "Show one service and where its template comes from.")

        @Argument(help: "The service's name.") var name: String
        @OptionGroup var templates: TemplateOptions
        @OptionGroup var report: ReportOptions

        func run(in context: CommandContext) async throws -> ProgramStatus {
            let catalog = try templates.read(in: context).catalog()
            guard let template = catalog[name] else {
                throw Failure(
                    .usage,
                    PlanError.unknownService(name, nearest: Suggestion.nearest(to: name, among: catalog.names))
                        .description)
            }
            let shown = ServiceReport(template)
            guard !report.json else {
                try context.console.result(shown.json())
                return .done
            }
            var rows = [
                ("name", shown.name), ("title", shown.title), ("what", shown.summary),
                ("opens", shown.ports.joined(separator: ", ")), ("to", shown.from), ("from", shown.origin),
            ]
            if let note = template.note { rows.append(("note", note)) }
            if let reference = template.reference { rows.append(("see", reference)) }
            for (label, text) in rows {
                let first = label + String(repeating: " ", count: 7 - label.count)
                let lines = Wrapping.lines(text, first: first, rest: String(repeating: " ", count: 7))
                try context.console.result(lines.joined(separator: "\n") + "\n")
            }
            return .done
        }
    }
}
