import Netfilter

// What is expected of packets to published ports, which bypass INPUT, and of containers' own packets.
extension Plan {
    /// The expectations for published ports: who can reach them from outside, and that containers reach the outside.
    ///
    /// - Parameters:
    ///   - ports: the published ports; a few of each kind are tested if there are many.
    ///   - scene: the context.
    /// - Returns: each expectation once.
    package func publishedExpectations(
        _ ports: [PublishedPort], in scene: ExpectationContext
    ) -> [Expectation] {
        var seen: Set<Expectation> = []
        return Family.allCases.flatMap { family -> [Expectation] in
            guard let server = scene.addresses.first(where: { $0.family == family }) else { return [] }
            let list = ExpectationList(plan: self, scene: scene, server: server)
            let own = sample(ports.filter { $0.endpoint?.address.family == family && $0.canComeIn })
            return ExpectationList.counted(own.flatMap(list.published)) + list.fromContainers(own)
        }.filter { seen.insert($0).inserted }
    }

    /// The maximum number of published ports of a family that are tested.
    private static let mostPublished = 8

    /// The first and the last port of each kind, by who can reach them.
    private func sample(_ ports: [PublishedPort]) -> [PublishedPort] {
        guard ports.count > Self.mostPublished else { return ports }
        var kinds: [(reach: PublishedReach, ports: [PublishedPort])] = []
        for port in ports {
            let reach = reach(of: port)
            if let index = kinds.firstIndex(where: { $0.reach == reach }) {
                kinds[index].ports.append(port)
            } else {
                kinds.append((reach, [port]))
            }
        }
        let chosen = Set(
            (kinds.map { $0.ports[0] } + kinds.map { $0.ports[$0.ports.count - 1] })
                .prefix(Self.mostPublished))
        let others = ports.filter { !chosen.contains($0) }.prefix(Self.mostPublished - chosen.count)
        return ports.filter { chosen.contains($0) || others.contains($0) }
    }
}

extension PublishedPort {
    /// Whether packets from outside can reach it: it has a port, and is not on a loopback address.
    fileprivate var canComeIn: Bool { !isLocalOnly && ports.range != Self.allPorts && endpoint?.port != nil }
}

extension ExpectationList {
    /// The maximum number of admins, and of sources of one answer, that are tested.
    private static let mostSources = 4

    /// New connections to a published port, or its datagrams, from everyone whose answer may differ.
    fileprivate func published(_ port: PublishedPort) -> [Expectation] {
        let spec = PortSpec(range: PortRange(port.ports.range.lower), transport: port.ports.transport)
        let limits = plan.publishedPermissions.filter { $0.covers(spec) }.compactMap(\.limits)
        let networks =
            admins.prefix(Self.mostSources) + limits.flatMap { $0.sample(family).prefix(Self.mostSources) }
        let named = networks.flatMap { network in
            [SampleAddress.member(of: network, except: scene.addresses)].compactMap(\.self)
                + SampleAddress.neighbours(of: network, except: scene.addresses)
        }
        let blocked = plan.answers.block.sample(family).prefix(Self.mostSources).compactMap {
            SampleAddress.member(of: $0, except: scene.addresses)
        }
        let inside = plan.namedInterfaces.compactMap(host(on:))
        var seen: Set<IPAddress> = []
        return ([strangers.first].compactMap(\.self) + named + blocked + inside)
            .filter { seen.insert($0).inserted }
            .compactMap { expectation(of: port, spec, from: $0) }
    }

    /// One packet to a published port; nil if the source cannot send to the address that it is published on.
    private func expectation(of port: PublishedPort, _ spec: PortSpec, from source: IPAddress) -> Expectation? {
        var target = target(for: source)
        if let address = port.address, !address.contains(target) {
            guard address.isHost, scene.addresses.contains(address.address) else { return nil }
            target = address.address
        }
        let number = spec.range.lower
        let interface = interface(source)
        let admitting = plan.admitting(source, spec, on: interface)
        let isLimited = plan.limitsPublishedPorts && !isAdmin(source)
        return Expectation(
            role: isAdmin(source) ? .admin : .stranger, direction: .in, source: source, target: target,
            packet: spec.transport == .tcp ? .tcp(number) : .udp(number), sourcePort: nil,
            isAccepted: plan.acceptsPublished(from: source, transport: spec.transport, port: number, on: interface),
            answer: publishedAnswer(source, spec, admitting),
            limit: isLimited && !admitting.contains { $0.limit == nil } ? admitting.first?.limit : nil,
            container: port.endpoint)
    }

    private func publishedAnswer(
        _ source: IPAddress, _ spec: PortSpec, _ admitting: [Permission]
    ) -> Permission.Answer? {
        guard plan.limitsPublishedPorts else { return nil }
        if isAdmin(source) { return .admins }
        if plan.blocks(source, on: interface(source)) { return .block }
        return (admitting.first ?? plan.publishedPermissions.first { $0.covers(spec) })?.answer
    }

    /// A container's own connection and datagram to the outside, whose replies have to come back.
    fileprivate func fromContainers(_ ports: [PublishedPort]) -> [Expectation] {
        guard let container = ports.first?.endpoint?.address, let other = strangers.last else { return [] }
        return [Expectation.Packet.tcp(443), .udp(53)].map { packet in
            Expectation(
                role: .server, direction: .out, source: container, target: other, packet: packet, sourcePort: nil,
                isAccepted: true, answer: nil, container: ContainerEndpoint(container))
        }
    }
}
