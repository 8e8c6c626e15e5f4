import ArgumentParser
import Netfilter
import Policy
import SafeApply

/// `latchkey plan`: the rules that the answers produce.
struct PlanCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Print the rules that the answers produce; change nothing.")

    /// The address families by their names on the command line.
    enum Choice: String, CaseIterable, ExpressibleByArgument {
        case ipv4, ipv6

        var family: Family { self == .ipv4 ? .ipv4 : .ipv6 }
    }

    @OptionGroup var answers: AnswersOptions
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var backend: BackendOptions
    @OptionGroup var report: ReportOptions
    @Option(
        help: "Print only the rules of this family, as iptables-restore reads them; with nftables, the table for both.")
    var family: Choice?
    @Flag(help: "Print what the plan means for programs that run here now, not the rules.") var effects = false

    func run(in context: CommandContext) async throws -> ProgramStatus {
        let file = try answers.read(in: context)
        let planner = try await Planner(templates, in: context)
        let plan = try planner.plan(try planner.answers(file))
        let composed = try planner.rules(plan, for: try await ChangeRunner(in: context).backend(backend))
        let rules = composed.rules
        context.console.warnAboutUnreachableServices(in: plan)
        context.console.noteAnswers(in: plan)
        if effects {
            try await printEffects(of: plan, in: context)
            return .done
        }
        if report.json {
            let wanted = PerFamily(
                ipv4: family == .ipv6 ? nil : rules.ipv4?.text, ipv6: family == .ipv4 ? nil : rules.ipv6?.text)
            let report = PlanReport(ipv4: wanted.ipv4, ipv6: wanted.ipv6, nftables: composed.table?.text)
            try context.console.result(report.json())
            return .done
        }
        if let table = composed.table {
            let heading = "# For \"nft -f\": a table for IPv4 and IPv6; other tables stay.\n"
            try context.console.result((family == nil ? heading : "") + table.text)
            return .done
        }
        if let family {
            try context.console.result(rules[family.family]?.text ?? "")
            return .done
        }
        for (family, rules) in rules.present {
            let name = family == .ipv4 ? "IPv4" : "IPv6"
            let tool = family == .ipv4 ? "iptables-restore" : "ip6tables-restore"
            let reach =
                plan.answers.existing == .keep
                ? "# \(name): added to INPUT, after other programs' jumps (existing: keep)."
                : "# \(name): for \(tool) (existing: replace)."
            try context.console.result("\(reach)\n\(rules.text)")
        }
        return .done
    }
}

extension PlanCommand {
    private func printEffects(of plan: Plan, in context: CommandContext) async throws {
        let machine = await MachineDiscovery(ChangeRunner(in: context), backend: nil)
        if machine.live == nil {
            context.console.say(
                Wrapping.text("Ports that bypass these rules (Docker's) are not shown: only root can read the rules."))
        }
        let services = RunningServices(published: machine.published, context.facts)
        let effects = plan.effects(on: services.listeners, services.published)
        if report.json {
            try context.console.result(EffectsReport(effects).json())
        } else if effects.sentences.isEmpty {
            context.console.say("The plan blocks no program that runs here now, and no port bypasses the rules.\n")
        } else {
            try context.console.result(effects.sentences.map(Wrapping.text).joined())
        }
    }
}

/// What `plan` prints with `--json`: the text of each family's rules.
struct PlanReport: Report, Equatable {
    /// For iptables-restore; nil when only the other family was asked for.
    var ipv4: String?
    /// For ip6tables-restore; nil when only the other family was asked for.
    var ipv6: String?
    /// For nft; nil for iptables.
    var nftables: String?
}
