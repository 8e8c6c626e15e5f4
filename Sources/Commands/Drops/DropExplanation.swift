import Host
import Netfilter
import Policy
import SafeApply

/// Explains dropped packets by the kept answers.
struct DropExplanation: Sendable {
    private let plan: Plan?
    private let catalog: TemplateCatalog?
    /// Whether the kept rules log dropped packets.
    let isLogging: Bool
    /// What else there is to know, a sentence each.
    let notes: [String]
    /// How the messages of the rules begin.
    let prefix: String

    /// An explanation by a plan.
    init(plan: Plan, catalog: TemplateCatalog, isLogging: Bool, notes: [String] = []) {
        self.plan = plan
        self.catalog = catalog
        self.isLogging = isLogging
        self.notes = notes
        prefix = LoggedPacket.dropPrefix
    }

    /// An explanation by answers that are observed, whose rules always log.
    ///
    /// - Parameters:
    ///   - answers: the answers.
    ///   - templates: where templates come from.
    ///   - context: the machine.
    /// - Throws: `Failure` with status 65 for answers or templates with mistakes.
    init(observing answers: NamedText, _ templates: TemplateOptions, in context: CommandContext) async throws(Failure) {
        let planner = try await Planner(templates, in: context)
        plan = try planner.plan(try planner.answers(answers))
        catalog = planner.catalog
        isLogging = true
        notes = ["These packets were not dropped: the answers are only observed."]
        prefix = LoggedPacket.observedPrefix
    }

    /// Reads the kept answers.
    ///
    /// - Parameters:
    ///   - kept: the kept rules.
    ///   - templates: where templates come from.
    ///   - context: the machine.
    /// - Throws: `Failure` with status 65 for answers or templates with mistakes.
    init(_ kept: KeptRules, _ templates: TemplateOptions, in context: CommandContext) async throws(Failure) {
        let text = kept.rules.present.map(\.value).joined() + (kept.tables ?? "")
        prefix = LoggedPacket.dropPrefix
        isLogging = text.contains("\"\(LoggedPacket.dropPrefix)\"")
        let path = context.layout.answers
        // Rules from a file have no answers; a file of answers beside them is an earlier change's.
        guard text.contains("\"\(Rule.ownershipPrefix)"), SecureFiles.exists(path) else {
            plan = nil
            catalog = nil
            notes = ["The kept rules come from no answers, so no answer explains what they drop."]
            return
        }
        let planner = try await Planner(templates, in: context)
        let answers = try planner.answers(try NamedText(name: path, path: path, in: context))
        plan = try planner.plan(answers)
        catalog = planner.catalog
        notes =
            !answers.ipv6 && isLogging && kept.backend == .nftables
            ? ["IPv6 is off: its packets are dropped without being logged."] : []
    }

    /// What is logged, or how to turn it on, in a sentence or two.
    var logging: String {
        if isLogging {
            return "Only a few dropped packets are logged, at most 5 a minute after the first 10, so the real numbers "
                + "are higher."
        }
        if plan?.answers.log == true {
            return "The answers say \"log: true\", but no active rule logs with the prefix "
                + "\"\(LoggedPacket.dropPrefix)\": run \"latchkey apply\", or correct your rule template."
        }
        return "Dropped packets are not logged. To log a few of them a minute, write \"log: true\" in the answers and "
            + "run \"latchkey apply\"."
    }

    /// Why a packet was dropped, in words.
    func reason(_ packet: LoggedPacket) -> String {
        guard let plan, let catalog else { return "the kept rules come from no answers" }
        return plan.reason(for: packet, catalog: catalog).description
    }
}
