import Host
import Import
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// The same packets, sent under the active rules and under the imported answers.
struct ImportComparison: Sendable {
    /// The packets that are treated differently.
    private(set) var differences: [ImportReport.Difference] = []
    /// The number of packets that were sent under both.
    private(set) var count = 0
    /// What the comparison lacks.
    private(set) var notes: [String] = []

    /// How long silent packets are waited for.
    private static let patience: Duration = .milliseconds(250)

    /// Sends the packets.
    ///
    /// - Parameters:
    ///   - plan: the plan of the imported answers.
    ///   - planner: makes its rules.
    ///   - packets: the packets, from outside.
    ///   - backend: the backend.
    ///   - changeRunner: the machine.
    ///   - caller: who runs the command.
    /// - Throws: `Failure`, `StageError`, `HostError` or `ChangeError` if the rules cannot be tried.
    init(
        _ plan: Plan, _ planner: Planner, _ packets: ImportPackets, backend: BackendOptions,
        _ changeRunner: ChangeRunner, _ caller: Caller
    ) async throws {
        let runner = try await RehearsalRunner(changeRunner, backend, caller: caller)
        let composed = try planner.rules(plan, for: runner.backend)
        let machine = await runner.machine(reaching: packets.sources, interfaces: packets.interfaces)
        let hosts = machine.hosts(on: packets.interfaces).filter { !packets.sources.contains($0) }
        let asked = (packets.sources + hosts).flatMap { source -> [Expectation] in
            guard let server = machine.addresses.facing(source)?.address, source.canSend else { return [] }
            return packets.packets.map { Expectation(asking: $0, from: source, to: server) }
        }
        let before = try await Self.outcomes(asked, runner, machine) { stage in
            let kernel = try await runner.kernel(of: stage)
            return try await runner.loadLiveRules(kernel)
        }
        let after = try await Self.outcomes(asked, runner, machine) { stage in
            let piece = RehearsalRunner.Piece(
                rules: composed.rules, tables: composed.table?.text, sets: composed.sets,
                scope: plan.answers.existing == .keep ? .inputChain : .tables)
            try await runner.change(piece, on: stage).makePermanent()
            return []
        }
        notes = before.notes
        for expectation in asked {
            guard let old = before.isOpen[expectation], let new = after.isOpen[expectation] else { continue }
            count += 1
            guard old != new else { continue }
            differences.append(
                ImportReport.Difference(
                    from: machine.name(of: expectation.source, hosts), packet: expectation.packet.title,
                    before: old ? "accept" : "drop",
                    after: new ? "accept" : "drop"))
        }
    }

    /// Which packets get through under rules; those that don't even without rules are missing.
    private static func outcomes(
        _ asked: [Expectation], _ runner: RehearsalRunner, _ machine: RehearsalMachine,
        _ load: (Stage) async throws -> [String]
    ) async throws -> (isOpen: [Expectation: Bool], notes: [String]) {
        let stage = try await runner.open(asked, on: machine)
        defer { stage.close() }
        let kernel = try await runner.kernel(of: stage)
        try await kernel.rehearsal.listen(for: asked)
        let free = try await open(asked, stage)
        let notes = try await load(stage)
        let through = try await open(asked, stage)
        var isOpen: [Expectation: Bool] = [:]
        for expectation in asked where free.contains(expectation) {
            isOpen[expectation] = through.contains(expectation)
        }
        return (isOpen, notes)
    }

    private static func open(_ asked: [Expectation], _ stage: Stage) async throws -> Set<Expectation> {
        let probes = asked.map { expectation -> Probe in
            switch expectation.packet {
            case .tcp(let port): Probe(.tcp, from: expectation.source, to: expectation.target, port: port)
            case .udp(let port): Probe(.udp, from: expectation.source, to: expectation.target, port: port)
            default: Probe(.ping, from: expectation.source, to: expectation.target)
            }
        }
        let results = try await stage.probe(probes, from: .outside, patience: patience)
        return Set(zip(asked, results).filter { $0.1.isAccepted }.map(\.0))
    }

    /// The differences for the screen.
    var lines: [String] {
        var lines = ["", "The active rules and the answers, compared with \(count) packets:"]
        if differences.isEmpty { lines.append("  no difference") }
        for difference in differences {
            let change =
                difference.before == "accept" ? "was open and will be closed" : "was closed and will be open"
            lines.append("  \(difference.packet) from \(difference.from) \(change)")
        }
        return lines + notes.flatMap { Wrapping.lines($0, first: "  ", rest: "    ") }
    }
}

extension RehearsalMachine {
    /// The most interfaces through which packets are sent.
    private static let mostInterfaces = 8

    /// A host of each family behind each interface.
    fileprivate func hosts(on interfaces: [String]) -> [IPAddress] {
        addresses.filter { interfaces.prefix(Self.mostInterfaces).contains($0.interface) }.compactMap { server in
            server.neighbours.lazy.compactMap { self.host(in: $0) }
                .first { addresses.facing($0)?.interface == server.interface }
        }
    }

    /// The third address of a network: the first ones may be the server's own.
    private func host(in network: CIDR) -> IPAddress? {
        guard !network.isHost else { return nil }
        var bytes = network.address.bytes
        bytes[bytes.count - 1] |= network.prefixLength < bytes.count * 8 - 2 ? 3 : 1
        guard let host = IPAddress(bytes: bytes), !addresses.contains(where: { $0.address == host }) else { return nil }
        return host
    }

    /// A host's address, with the interface that it comes in through if it is there for that.
    fileprivate func name(of host: IPAddress, _ hosts: [IPAddress]) -> String {
        guard hosts.contains(host), let interface = addresses.facing(host)?.interface else { return "\(host)" }
        return "\(host) on \(interface)"
    }
}
