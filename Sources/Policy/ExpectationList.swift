import Netfilter

/// The context of a list of expectations: the server's addresses, the present SSH connection, and what runs there.
package struct ExpectationContext: Equatable, Sendable {
    /// The server's addresses, in each family that of the default route first; a family without one is not tested.
    package var servers: [ServerAddress]
    /// The client's address of the present SSH connection.
    package var you: IPAddress?
    /// The server port of that connection.
    package var yourPort: UInt16?
    /// Ports on which something listens now.
    package var listening: [PortSpec]
    /// Networks that other programs' rules name: strangers are not chosen from them.
    package var namedByOtherRules: [CIDR]
    /// Networks that other programs' rules name for good, unlike a ban: SSH is tested from some of them.
    package var namedForGood: [CIDR]

    /// Creates a context; see the properties.
    package init(
        servers: [ServerAddress], you: IPAddress? = nil, yourPort: UInt16? = nil, listening: [PortSpec] = [],
        namedByOtherRules: [CIDR] = [], namedForGood: [CIDR] = []
    ) {
        self.servers = servers
        self.you = you
        self.yourPort = yourPort
        self.listening = listening
        self.namedByOtherRules = namedByOtherRules
        self.namedForGood = namedForGood
    }

    /// The server's addresses by themselves.
    var addresses: [IPAddress] { servers.map(\.address) }
}

extension Plan {
    /// All expectations of the plan, each once, derived from the answers without reading rules.
    package func expectations(in scene: ExpectationContext) -> [Expectation] {
        var seen: Set<Expectation> = []
        return Family.allCases.flatMap { family in
            scene.addresses.first { $0.family == family }.map { server in
                ExpectationList(plan: self, scene: scene, server: server).all
            } ?? []
        }.filter { seen.insert($0).inserted }
    }
}

extension Expectation {
    /// One packet without a promise.
    package init(asking packet: Packet, from source: IPAddress, to target: IPAddress) {
        self.init(
            role: .stranger, direction: .in, source: source, target: target, packet: packet, sourcePort: nil,
            isAccepted: false, answer: nil)
    }

    /// That the present SSH connection continues and that a new login from there is allowed; empty without one.
    package static func ofCaller(in scene: ExpectationContext) -> [Expectation] {
        guard let you = scene.you, let port = scene.yourPort, you.canSend, !scene.addresses.contains(you),
            let server = scene.servers.facing(you)?.address
        else { return [] }
        return [Packet.tcp(port), .established(port)].map { packet in
            Expectation(
                role: .you, direction: .in, source: you, target: server, packet: packet, sourcePort: nil,
                isAccepted: true, answer: nil)
        }
    }
}

/// The expectations of one family.
struct ExpectationList {
    let plan: Plan
    let scene: ExpectationContext
    /// The address of the default route.
    let server: IPAddress

    /// Ports that are always tested: common targets of port scans.
    static let sample: [PortSpec] =
        [23, 111, 445, 3306, 5432, 8081].map { PortSpec(range: PortRange($0), transport: .tcp) }
        + [111, 161, 1900].map { PortSpec(range: PortRange($0), transport: .udp) }

    var family: Family { server.family }
    /// The admins of the family, or some of them if there are very many.
    let admins: [CIDR]
    /// The same for all sources that an answer is limited to.
    private let limits: [CIDR]

    init(plan: Plan, scene: ExpectationContext, server: IPAddress) {
        self.plan = plan
        self.scene = scene
        self.server = server
        admins = plan.answers.admins.sample(server.family)
        limits = plan.permissions.flatMap { $0.limits?.sample(server.family) ?? [] }
    }

    var all: [Expectation] {
        let list =
            fromAdmins + fromStranger + fromSpare + fromNamed + fromLimits + fromInterfaces + fromBlocked + fromServer
            + yours
        return Self.counted(list) + overLimits
    }

    // MARK: - Ports

    var opened: [PortSpec] {
        plan.permissions.compactMap { permission in
            switch permission.opening {
            case .ports(let spec), .multicast(let spec, _): spec
            case .everything, .ipProtocol, .ping: nil
            }
        }
    }

    /// The first and last port of every open range, the listening ports, and the sample.
    private var ports: [PortSpec] { Self.singles(opened.flatMap(Self.ends) + scene.listening + Self.sample) }

    /// The same, and the neighbours of every open range, which are closed: the next ports and the other protocol.
    private var portsAndNeighbours: [PortSpec] { Self.singles(ports + opened.flatMap(Self.beside)) }

    private static func beside(_ spec: PortSpec) -> [PortSpec] {
        let other: TransportProtocol = spec.transport == .tcp ? .udp : .tcp
        var beside = [PortSpec(range: PortRange(spec.range.lower), transport: other)]
        if spec.range.lower > 1 {
            beside.append(PortSpec(range: PortRange(spec.range.lower - 1), transport: spec.transport))
        }
        if spec.range.upper < .max {
            beside.append(PortSpec(range: PortRange(spec.range.upper + 1), transport: spec.transport))
        }
        return beside
    }

    static func ends(_ spec: PortSpec) -> [PortSpec] {
        [spec.range.lower, spec.range.upper].map { PortSpec(range: PortRange($0), transport: spec.transport) }
    }

    static func singles(_ specs: [PortSpec]) -> [PortSpec] { Set(specs.flatMap(ends)).sorted() }

    // MARK: - Senders

    private var fromAdmins: [Expectation] {
        admins.enumerated().flatMap { number, network -> [Expectation] in
            guard let member = SampleAddress.member(of: network, except: scene.addresses) else { return [] }
            // One admin tests every port; for the others one port is enough.
            let tried = number == 0 ? ports : Self.singles(plan.sshPorts.map(Self.tcp) + Self.sample.prefix(1))
            // Of a network both ends are tested: a mask that is too narrow leaves out the last address.
            let last = [network.last].filter { $0 != member && $0.canSend && !scene.addresses.contains($0) }
            return news(from: member, tried) + [ping(from: member)]
                + last.flatMap { news(from: $0, Self.singles(plan.sshPorts.map(Self.tcp))) } + justOutside(network)
        }
    }

    private func justOutside(_ network: CIDR) -> [Expectation] {
        let tried = Self.singles(plan.sshPorts.map(Self.tcp) + Self.sample.prefix(1))
        return SampleAddress.neighbours(of: network, except: scene.addresses).flatMap { news(from: $0, tried) }
    }

    /// The address that is used as a stranger.
    var strangers: [IPAddress] {
        let taken = scene.addresses + [scene.you].compactMap(\.self)
        let all = SampleAddress.strangers(family, except: taken) { isListed($0) }
        let plain = all.filter { stranger in !scene.namedByOtherRules.contains { $0.contains(stranger) } }
        return plain.isEmpty ? all : plain
    }

    private var stranger: IPAddress? { strangers.first }

    /// Another stranger, who tests only what is open to everyone: if only one of the two is blocked, that is because of
    /// its address or its earlier packets, not because of the answers.
    private var fromSpare: [Expectation] {
        guard let spare = strangers.last, spare != stranger else { return [] }
        return (news(from: spare, Self.singles(opened.flatMap(Self.ends))) + [ping(from: spare)]).filter {
            $0.isAccepted && $0.limit == nil
        }
    }

    /// From how many networks that other programs' rules name SSH is tested.
    private static let namedNetworks = 4

    /// SSH from addresses that other programs' rules name and the answers don't: what they block is shown.
    private var fromNamed: [Expectation] {
        let taken = scene.addresses + [scene.you].compactMap(\.self)
        let named = Set(scene.namedForGood.filter { $0.family == family }).sorted()
        let members = named.compactMap { SampleAddress.member(of: $0, except: taken) }.filter { !isListed($0) }
        guard members.count > Self.namedNetworks else { return members.flatMap { logins(from: $0) } }
        let spread = (0..<Self.namedNetworks).map { members[$0 * (members.count - 1) / (Self.namedNetworks - 1)] }
        return spread.flatMap { logins(from: $0) }
    }

    private func logins(from source: IPAddress) -> [Expectation] {
        news(from: source, Self.singles(plan.sshPorts.map(Self.tcp)))
    }

    private var fromStranger: [Expectation] {
        guard let stranger else { return [] }
        // Packets that only look like replies.
        var list = news(from: stranger, portsAndNeighbours)
        list.append(new(from: stranger, PortSpec(range: PortRange(1900), transport: .udp), sourcePort: 53))
        list.append(new(from: stranger, PortSpec(range: PortRange(8081), transport: .tcp), sourcePort: 25))
        list.append(ping(from: stranger))
        // RFC 4890 section 4.3.1: over IPv6 errors are not to be dropped.
        let isErrorAccepted = isAdmin(stranger) || family == .ipv6
        list.append(make(stranger, .strayError, isAccepted: isErrorAccepted && plan.isOpen(family), answer: nil))
        guard family == .ipv6 else { return list }
        list.append(make(stranger, .neighbour, isAccepted: true, answer: nil))
        list += [133, 134].map { make(stranger, .message($0), isAccepted: true, answer: nil) }
        list += [3, 4].map { make(stranger, .message($0), isAccepted: plan.isOpen(family), answer: nil) }
        return list
    }

    private var fromLimits: [Expectation] {
        plan.permissions.flatMap { permission -> [Expectation] in
            guard case .networks(let networks) = permission.source, case .ports(let spec) = permission.opening else {
                return []
            }
            return networks.sample(family).flatMap { network in
                let member = SampleAddress.member(of: network, except: scene.addresses)
                let addresses =
                    [member].compactMap(\.self) + SampleAddress.neighbours(of: network, except: scene.addresses)
                return addresses.flatMap { news(from: $0, Self.singles([spec])) }
            }
        }
    }

    private var fromServer: [Expectation] {
        guard let loopback = try? IPAddress(parsing: family == .ipv4 ? "127.0.0.1" : "::1") else { return [] }
        func out(_ packet: Expectation.Packet, to target: IPAddress) -> Expectation {
            Expectation(
                role: .server, direction: .out, source: server, target: target, packet: packet, sourcePort: nil,
                isAccepted: true, answer: nil)
        }
        let own = [.tcp(3306), .udp(161), .ping].map { (packet: Expectation.Packet) in
            Expectation(
                role: .server, direction: .in, source: loopback, target: loopback, packet: packet, sourcePort: nil,
                isAccepted: true, answer: nil)
        }
        // Not a stranger who has just tested closed ports. If everyone is an admin, one of them is used.
        guard
            let host = strangers.last
                ?? admins.lazy.compactMap({ SampleAddress.member(of: $0, except: scene.addresses) }).first
        else { return own }
        let packets: [Expectation.Packet] =
            [.tcp(443), .udp(53), .ping, .relatedError, .packetTooBig] + (family == .ipv6 ? [.neighbour] : [])
        return own + packets.map { out($0, to: host) }
    }

    /// The present SSH connection: as a new login, and as it is.
    var yours: [Expectation] {
        guard let you = scene.you, let port = scene.yourPort, you.family == family, you.canSend,
            !scene.addresses.contains(you)
        else { return [] }
        let isAccepted = plan.accepts(from: you, transport: .tcp, port: port, on: interface(you))
        let limit = limit(of: you, Self.tcp(port))
        return [(Expectation.Packet.tcp(port), isAccepted), (.established(port), true)].map { packet, isAccepted in
            Expectation(
                role: .you, direction: .in, source: you, target: target(for: you), packet: packet,
                sourcePort: nil, isAccepted: isAccepted, answer: .ssh, limit: packet == .tcp(port) ? limit : nil)
        }
    }

    // MARK: - Helpers

    static func tcp(_ port: UInt16) -> PortSpec { PortSpec(range: PortRange(port), transport: .tcp) }

    func news(from source: IPAddress, _ ports: [PortSpec]) -> [Expectation] {
        ports.map { new(from: source, $0) }
    }

    private func new(from source: IPAddress, _ spec: PortSpec, sourcePort: UInt16? = nil) -> Expectation {
        let port = spec.range.lower
        return make(
            source, spec.transport == .tcp ? .tcp(port) : .udp(port),
            isAccepted: plan.accepts(from: source, transport: spec.transport, port: port, on: interface(source)),
            answer: answer(source) { opening in
                if case .ports(let open) = opening {
                    open.transport == spec.transport && open.range.contains(port)
                } else {
                    false
                }
            }, sourcePort: sourcePort, limit: limit(of: source, spec))
    }

    func ping(from source: IPAddress) -> Expectation {
        make(
            source, .ping, isAccepted: plan.acceptsPing(from: source, on: interface(source)),
            answer: isAdmin(source) ? .admins : .ping)
    }

    func make(
        _ source: IPAddress, _ packet: Expectation.Packet, isAccepted: Bool, answer: Permission.Answer?,
        sourcePort: UInt16? = nil, limit: RateLimit? = nil
    ) -> Expectation {
        Expectation(
            role: isAdmin(source) ? .admin : .stranger, direction: .in, source: source,
            target: target(for: source), packet: packet, sourcePort: sourcePort, isAccepted: isAccepted, answer: answer,
            limit: limit)
    }

    func target(for source: IPAddress) -> IPAddress { scene.servers.facing(source)?.address ?? server }

    func interface(_ source: IPAddress) -> String? { scene.servers.facing(source)?.interface }

    func isAdmin(_ address: IPAddress) -> Bool {
        plan.answers.admins.contains(address, on: interface(address))
    }

    /// Whether an answer names the address, other than by "all addresses".
    private func isListed(_ address: IPAddress) -> Bool {
        plan.permissions.contains { $0.limits?.names(address) ?? false } || plan.answers.admins.names(address)
            || plan.answers.block.names(address)
    }

    /// The answer that decides about a port for this address.
    private func answer(_ source: IPAddress, _ matches: (Permission.Opening) -> Bool) -> Permission.Answer? {
        if isAdmin(source) { return .admins }
        if plan.blocks(source, on: interface(source)) { return .block }
        let speaking = plan.permissions.filter { matches($0.opening) }
        return
            (speaking.first { $0.admits(source, on: interface(source), admins: plan.answers.admins) } ?? speaking.first)?
            .answer
    }
}
