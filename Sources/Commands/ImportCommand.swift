import ArgumentParser
import Host
import Import
import Interview
import Netfilter
import Policy
import SafeApply

/// `latchkey import`: the answers that stand for what another firewall program allows now.
struct ImportCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Print the answers that stand for what another firewall program allows now; change nothing.",
        discussion: """
            The answers go to standard output, with comments on what answers cannot say. They never allow more than the \
            program does, except that SSH stays open. Check them with "latchkey plan --answers FILE".
            """)

    @Argument(help: "The program: ufw, firewalld, iptables or nftables.") var program: ImportProgram
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var backend: BackendOptions
    @OptionGroup var report: ReportOptions
    @Flag(name: .customLong("no-rehearsal"), help: "Do not compare the active rules and the answers with packets.")
    var isRehearsalSkipped = false

    func run(in context: CommandContext) async throws -> ProgramStatus {
        if program.needsRoot { try context.requireRoot("import \(program.rawValue)") }
        let changeRunner = ChangeRunner(in: context)
        let planner = try await Planner(templates, in: context)
        let caller = Caller(context.facts)
        let imported = try await ImportedAnswers(from: program, planner, backend, changeRunner, in: context)
        let machine = imported.machine
        var result = imported.result
        let text = ImportText(result, from: program.rawValue)
        // What is printed must be what "plan" and "apply" read.
        let plan = try planner.plan(try planner.answers(NamedText(name: "the imported answers", text: text.yaml)))
        var comparison: ImportComparison?
        if !isRehearsalSkipped, context.userID == 0 {
            do {
                comparison = try await ImportComparison(
                    plan, planner, result.probes(machine), backend: backend, changeRunner, caller)
            } catch {
                result.notes.append(
                    "The active rules and the answers were not compared with packets. \(Failure(rehearsal: error).what)"
                )
            }
        }
        if report.json {
            try context.console.result(ImportReport(text.yaml, result, comparison).json())
            return .done
        }
        try context.console.result(text.yaml)
        let lines = ImportText(result, from: program.rawValue).table { text, first, rest in
            Wrapping.lines(text, first: first, rest: rest)
        }
        context.console.say((lines + (comparison?.lines ?? [])).map { $0 + "\n" }.joined())
        return .done
    }
}

/// The programs whose rules can be imported.
enum ImportProgram: String, CaseIterable, ExpressibleByArgument, Sendable {
    case ufw, firewalld, iptables, nftables

    /// Whether only root can read the program's rules.
    var needsRoot: Bool { self == .iptables || self == .nftables }
}

extension ImportMachine {
    /// This machine.
    ///
    /// - Parameters:
    ///   - context: where facts are read.
    ///   - sshPorts: the ports that sshd listens on.
    ///   - caller: who runs the command.
    ///   - families: the families that the kernel has.
    init(of context: CommandContext, sshPorts: [UInt16], caller: Caller, families: [Family]) {
        let own = ownAddresses().filter { $0.isUp && $0.scope == .global && !Self.isForGuests($0.interface) }
        let exits = NetworkFacts(context.facts).defaultRoutes.map(\.interface)
        self.init(
            interfaces: Set(own.map(\.interface).filter { $0 != "lo" } + exits).sorted(),
            addresses: own.map(\.address),
            listening: Set(
                ReachableListeners.reachable(.listening(context.facts), context.facts).map {
                    PortSpec(range: PortRange($0.port), transport: $0.transport)
                }
            ).sorted(),
            sshPorts: sshPorts, caller: caller.peer, callerPort: caller.peerPort, families: families)
    }
}
