import Host
import Netfilter
import Policy
import Rehearsal
import SafeApply

/// The part of a rehearsal that is about published container ports: on a stage of its own, with the containers, the rules
/// that forward to them, and forwarding switched on.
struct PublishedRehearsal: Sendable {
    /// What the answers promise about the published ports, and that containers reach the outside.
    let expectations: [Expectation]
    /// The machine that the stage copies, without the containers' interfaces.
    let machine: RehearsalMachine
    /// The containers on the stage.
    let containers: [StageContainers]
    /// The ports that cannot be tested, in sentences.
    let notes: [String]

    /// The maximum number of the server's interfaces to containers on a stage.
    private static let mostInterfaces = 8

    /// Chooses what is tested.
    ///
    /// - Parameters:
    ///   - plan: the plan.
    ///   - ports: the published ports.
    ///   - runner: the rehearsal's runner.
    ///   - machine: the machine.
    init?(
        _ plan: Plan, _ ports: [PublishedPort], _ runner: RehearsalRunner, on machine: RehearsalMachine
    ) async {
        let ports = ports.filter { !$0.isLocalOnly && $0.endpoint != nil }
        guard !ports.isEmpty else { return nil }
        let environment = runner.environment
        let lookup = try? RouteLookup(toolbox: environment.toolbox, runner: environment.runner)
        let routes = (try? await lookup?.interfaces(to: Set(ports.compactMap(\.endpoint?.address)).sorted())) ?? [:]
        // What goes back to where it came from is not a container's.
        let exits = Set(NetworkFacts(environment.facts).defaultRoutes.map(\.interface))
            .union([runner.you.flatMap { machine.addresses.facing($0)?.interface }].compactMap(\.self))
        var interfaces: [String] = []
        for port in ports {
            guard let interface = port.endpoint.flatMap({ routes[$0.address] }), !exits.contains(interface),
                !interfaces.contains(interface), interfaces.count < Self.mostInterfaces
            else { continue }
            interfaces.append(interface)
        }
        let isTestable = { (port: PublishedPort) in
            port.endpoint.flatMap { routes[$0.address] }.map(interfaces.contains) ?? false
        }
        let addresses = ports.filter(isTestable).compactMap(\.address).filter(\.isHost).map(\.address)
        self.machine = machine.without(interfaces, publishedOn: addresses)
        let possible = plan.publishedExpectations(ports.filter(isTestable), in: runner.scene(self.machine))
        let members = Set(possible.compactMap(\.container?.address))
        expectations = possible.filter { $0.direction == .out || !members.contains($0.source) }
        let own = ownAddresses().filter { $0.scope == .global }
        containers = interfaces.compactMap { interface in
            let behind = members.filter { routes[$0] == interface }.sorted()
            guard !behind.isEmpty else { return nil }
            return StageContainers(
                behind: interface, server: own.filter { $0.interface == interface }.map(\.address), members: behind)
        }
        let tested = Set(
            expectations.filter { $0.direction == .in }.map { [$0.packet.title, $0.container?.description ?? ""] })
        let all = ports.filter(isTestable)
        notes =
            ports.filter { !isTestable($0) }.map { port in
                "No packets tested the published port \(port.ports): \(port.destination) is not behind an interface of "
                    + "its own."
            } + (tested.count < all.count ? ["Packets tested \(tested.count) of \(all.count) published ports."] : [])
    }

    /// Expectations about the server itself, without those that a published port contradicts: the packets go to the
    /// container.
    func withoutContradicted(_ others: [Expectation]) -> [Expectation] {
        let open = Set(expectations.filter { $0.direction == .in && $0.isAccepted }.map(Destination.init))
        return others.filter { other in
            other.direction == .out || other.isAccepted || other.isEstablished || other.answer == .ssh
                || other.role == .you || other.sourcePort != nil || !open.contains(Destination(other))
        }
    }

    /// What an expectation's packet is sent to, and by whom.
    private struct Destination: Hashable {
        let source: IPAddress
        let target: IPAddress
        let packet: Expectation.Packet

        init(_ expectation: Expectation) {
            source = expectation.source
            target = expectation.target
            packet = expectation.packet
        }
    }
}

extension RehearsalResult {
    /// Adds what another stage showed.
    ///
    /// - Parameters:
    ///   - other: the other result.
    ///   - more: notes about it.
    mutating func add(_ other: RehearsalResult, notes more: [String]) {
        verdicts += other.verdicts
        pending += other.pending
        milliseconds = max(milliseconds, other.milliseconds)
        notes += (other.notes + more).filter { !notes.contains($0) }
    }
}

extension RehearsalRunner {
    /// Tests the published ports on a stage with containers.
    ///
    /// - Returns: the result; nil without published ports, or with a note where the stage cannot be made.
    func rehearse(_ piece: Piece, _ published: PublishedRehearsal?) async -> RehearsalResult? {
        guard let published, !published.expectations.isEmpty else { return nil }
        do {
            return try await rehearse(
                piece, published.expectations, on: published.machine, containers: published.containers)
        } catch {
            let reason = Failure(rehearsal: error).what
            return RehearsalResult(
                verdicts: [], pending: [], milliseconds: 0,
                notes: ["No packets tested the published ports: \(reason)"])
        }
    }
}
