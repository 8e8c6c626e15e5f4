import ArgumentParser
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// `latchkey trace`: the path of one packet through the rules.
struct TraceCommand: ContextCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Send one packet through the plan's rules in a throwaway network, and show its path.")

    @Argument(help: "The packet's source address.", transform: Self.address) var from: IPAddress
    @Argument(help: "The packet: tcp/22, udp/53 or ping.", transform: Self.packet) var packet: Expectation.Packet
    @Flag(help: "Use the rules that are active now instead of the plan; needs root.") var live = false
    @OptionGroup var answers: AnswersOptions
    @OptionGroup var templates: TemplateOptions
    @OptionGroup var backend: BackendOptions
    @OptionGroup var report: ReportOptions

    private static func address(_ text: String) throws -> IPAddress {
        let address: IPAddress
        do { address = try IPAddress(parsing: text) } catch { throw ValidationError(error.message) }
        guard !address.isLoopback else {
            throw ValidationError("\(text) is this machine itself; its own packets arrive on lo.")
        }
        guard address.canSend else {
            throw ValidationError(
                "\(text) is not the address of one host on the network: use a unicast address that is not link-local.")
        }
        return address
    }

    /// `tcp/22`, or `22/tcp` as in the answers.
    private static func packet(_ text: String) throws -> Expectation.Packet {
        if text == "ping" || text == "icmp" { return .ping }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            throw ValidationError("\"\(text)\" is not a packet: write tcp/22, udp/53 or ping.")
        }
        let isTurned = TransportProtocol(rawValue: String(parts[0])) != nil
        let spec: PortSpec
        do {
            spec = try PortSpec(parsing: isTurned ? "\(parts[1])/\(parts[0])" : text)
        } catch { throw ValidationError(error.message) }
        guard spec.range.lower == spec.range.upper else {
            throw ValidationError("\"\(text)\" is more than one port: name only one.")
        }
        return spec.transport == .tcp ? .tcp(spec.range.lower) : .udp(spec.range.lower)
    }

    func run(in context: CommandContext) async throws -> ProgramStatus {
        if live { try context.requireRoot("trace --live") }
        let rehearsalRunner = try await RehearsalRunner(
            ChangeRunner(in: context), backend, caller: Caller(context.facts))
        var piece: RehearsalRunner.Piece?
        if !live {
            let planner = try await Planner(templates, in: context)
            let plan = try planner.plan(try planner.answers(try answers.read(in: context)))
            let composed = try planner.rules(plan, for: rehearsalRunner.backend)
            piece = RehearsalRunner.Piece(
                rules: composed.rules, tables: composed.table?.text, sets: composed.sets,
                scope: plan.answers.existing == .keep ? .inputChain : .tables)
        }
        let machine = await rehearsalRunner.machine(reaching: [from])
        guard let server = machine.addresses.facing(from)?.address else {
            throw Failure(.missing, "This machine has no \(from.family.title).")
        }
        guard !machine.addresses.contains(where: { $0.address == from }) else {
            throw Failure(.usage, "\(from) is this machine itself; its own packets arrive on lo.")
        }
        let expectation = Expectation(asking: packet, from: from, to: server)
        let trace: PacketTrace
        var notes: [String] = []
        do {
            let stage = try await rehearsalRunner.open([expectation], on: machine)
            defer { stage.close() }
            let kernel = try await rehearsalRunner.kernel(of: stage)
            let rehearsal = kernel.rehearsal
            try await rehearsal.listen(for: [expectation])
            notes = try await rehearsalRunner.loadLiveRules(kernel)
            if let piece { try await rehearsalRunner.change(piece, on: stage).makePermanent() }
            trace = try await rehearsal.trace(expectation)
        } catch { throw Failure(rehearsal: error) }
        notes += await TemporaryRunner.list(rehearsalRunner.backend, in: rehearsalRunner.environment)
            .filter { $0.source.contains(from) }.map {
                "This temporary entry comes first and is not part of the trace: \(TemporaryReport($0).sentence)"
            }
        for note in notes { context.console.say(Wrapping.text(note)) }
        if report.json {
            try context.console.result(TraceReport(expectation, trace, notes: notes).json())
            return .done
        }
        try context.console.result(Self.lines(expectation, trace).map { $0 + "\n" }.joined())
        return .done
    }

    private static func lines(_ expectation: Expectation, _ trace: PacketTrace) -> [String] {
        var lines = ["\(expectation.packet.title) from \(expectation.source) to \(expectation.target)"]
        for step in trace.steps {
            let isEnd = trace.decision?.rule == step.rule
            let mark = isEnd ? "=> " : step.isMatch ? " > " : "   "
            let indent = String(repeating: "  ", count: step.depth + 1)
            lines += Wrapping.lines(
                isEnd ? step.rule.fullText : step.rule.listedText, first: "\(indent)\(mark)", rest: "\(indent)     ")
        }
        if let decision = trace.decision, decision.rule == nil { lines.append("  => \(decision.text)") }
        let end =
            switch trace.decision?.isAccepted {
            case true?: "Allowed."
            case false?: "Blocked."
            case nil: "The counters don't show which rule decided. Result: \(trace.outcome.rawValue)."
            }
        return lines + [end]
    }
}
