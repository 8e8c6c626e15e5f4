import Netfilter

/// Why a packet was dropped, as far as the answers explain it.
package enum DropReason: Hashable, Sendable {
    /// The packet's family is off.
    case familyOff(Family)
    /// No service and no port of the answers opens it.
    case notOpened
    /// These services would open it but are not chosen; some of them only for the admins.
    case notChosen([String], isForAdmins: Bool)
    /// These answers open it, but not for this source.
    case limited([Limit])
    /// SSH is open on other ports than its usual one.
    case sshElsewhere([UInt16])
    /// An answer opens it only for packets to a multicast group.
    case onlyToGroups(String, [IPAddress])
    /// Only the admins may ping; with `hasAdmins` false there are none.
    case ping(PingPolicy, hasAdmins: Bool)
    /// Pings are limited.
    case pingLimit
    /// It belongs to no connection that the server knows.
    case noConnection
    /// A message of ICMP that nothing asked for.
    case unaskedICMP
    /// It has no port that an answer could be about.
    case noPort
    /// It was sent to the published port of a container.
    case published
    /// The answers block its source, which this network or interface contains.
    case blocked(String)
    /// The answers allow it, but only a few from one address.
    case overLimit(String, RateLimit)
    /// The answers allow it now.
    case allowedNow

    /// An answer that opens something for some.
    package struct Limit: Hashable, Sendable {
        /// The answer as people call it: `ssh`, `port 8080/tcp`.
        package let title: String
        /// Who is allowed, in words.
        package let allowed: String
    }
}

extension Plan {
    /// Why a packet was dropped, or that these answers would not drop it.
    ///
    /// - Parameters:
    ///   - packet: the dropped packet.
    ///   - catalog: the service templates, which tell what a port is for.
    /// - Returns: the reason.
    package func reason(for packet: LoggedPacket, catalog: TemplateCatalog) -> DropReason {
        if packet.outInterface != nil { return .published }
        guard isOpen(packet.family) else { return .familyOff(packet.family) }
        if blocks(packet.source, on: packet.interface) { return .blocked(blockedNetwork(of: packet)) }
        switch packet.content {
        case .tcp(_, let port, let opens):
            return reason(for: packet, .tcp, port, catalog, isLate: !opens)
        case .udp(let from, let port):
            return reason(for: packet, .udp, port, catalog, isLate: Self.isAnswer(from: from, to: port))
        case .icmp(let type, _):
            return reason(forICMP: type, packet)
        case .other(let name):
            return reason(forProtocol: name, packet, catalog)
        case .incomplete:
            return acceptsAnything(from: packet) ? .allowedNow : .noPort
        }
    }

    private func reason(
        for packet: LoggedPacket, _ transport: TransportProtocol, _ port: UInt16, _ catalog: TemplateCatalog,
        isLate: Bool
    ) -> DropReason {
        let group = packet.destination.isMulticast ? packet.destination : nil
        if accepts(from: packet.source, transport: transport, port: port, to: group, on: packet.interface) {
            let opening = permissions.filter { permission in
                (permission.opening.portSpec?.covers(transport, port) ?? false)
                    && permission.admits(packet.source, on: packet.interface, admins: answers.admins)
            }
            guard !acceptsAnything(from: packet), let first = opening.first, let limit = first.limit,
                opening.allSatisfy({ $0.limit != nil })
            else { return .allowedNow }
            return .overLimit(first.title, limit)
        }
        let limits = limits { opening in
            if case .ports(let spec) = opening { spec.covers(transport, port) } else { false }
        }
        if !limits.isEmpty { return .limited(limits) }
        if isLate { return .noConnection }
        for permission in permissions {
            if case .multicast(let spec, let groups) = permission.opening, spec.covers(transport, port) {
                return .onlyToGroups(permission.title, groups)
            }
        }
        if transport == .tcp, port == 22 { return .sshElsewhere(sshPorts) }
        return Self.notChosen(catalog.narrowest { template in template.ports.contains { $0.covers(transport, port) } })
    }

    private func reason(forICMP type: UInt8, _ packet: LoggedPacket) -> DropReason {
        guard type == (packet.family == .ipv4 ? 8 : 128) else {
            return acceptsAnything(from: packet) ? .allowedNow : .unaskedICMP
        }
        guard acceptsPing(from: packet.source, on: packet.interface) else {
            return .ping(answers.ping, hasAdmins: !answers.admins.isEmpty)
        }
        return answers.ping == .limited && !acceptsAnything(from: packet) ? .pingLimit : .allowedNow
    }

    private func reason(
        forProtocol name: String, _ packet: LoggedPacket, _ catalog: TemplateCatalog
    ) -> DropReason {
        if acceptsAnything(from: packet) { return .allowedNow }
        guard let kind = IPProtocol(rawValue: name) else { return .notOpened }
        if accepts(from: packet.source, ipProtocol: kind, on: packet.interface) { return .allowedNow }
        let limits = limits { $0 == .ipProtocol(kind) }
        return limits.isEmpty
            ? Self.notChosen(catalog.narrowest { $0.protocols.contains(kind) }) : .limited(limits)
    }

    // MARK: - Helpers

    private func acceptsAnything(from packet: LoggedPacket) -> Bool {
        answers.admins.contains(packet.source, on: packet.interface)
    }

    /// What the answers block, as they name it.
    private func blockedNetwork(of packet: LoggedPacket) -> String {
        answers.block.networks.first { $0.contains(packet.source) }?.description
            ?? answers.block.files.first { $0.contains(packet.source) }.map { "the addresses in \($0.path.quoted())" }
            ?? "interface \(packet.interface)"
    }

    /// Whether a packet looks like the answer to a question that the server no longer waits for: DNS, NTP, QUIC.
    private static func isAnswer(from: UInt16, to port: UInt16) -> Bool {
        [53, 123, 443].contains(from) && port >= 1_024
    }

    /// The answers that open this for others than the packet's source.
    private func limits(_ matches: (Permission.Opening) -> Bool) -> [DropReason.Limit] {
        var limits: [DropReason.Limit] = []
        for permission in permissions where matches(permission.opening) {
            let limit = DropReason.Limit(title: permission.title, allowed: allowed(by: permission.source))
            if !limits.contains(limit) { limits.append(limit) }
        }
        return limits
    }

    private func allowed(by source: Source) -> String {
        switch source {
        case .everyone: "everyone"
        case .admins: answers.admins.isEmpty ? "the admins, and there are none" : "the admins"
        case .networks(let list): list.briefly
        }
    }

    private static func notChosen(_ templates: [ServiceTemplate]) -> DropReason {
        let open = templates.filter { $0.audience == .everyone }
        let shown = (open.isEmpty ? templates : open).prefix(2).map(\.name)
        return shown.isEmpty ? .notOpened : .notChosen(shown, isForAdmins: open.isEmpty)
    }
}

extension PortSpec {
    /// Whether the port is one of these; unlike a range, a packet can also name port 0.
    fileprivate func covers(_ transport: TransportProtocol, _ port: UInt16) -> Bool {
        self.transport == transport && range.contains(port)
    }
}

extension TemplateCatalog {
    /// The services that match, those with the fewest ports first; one with many ports says little about any of them.
    fileprivate func narrowest(_ matches: (ServiceTemplate) -> Bool) -> [ServiceTemplate] {
        func size(_ template: ServiceTemplate) -> Int { template.ports.reduce(0) { $0 + $1.range.count } }
        return all.filter { $0.name != "ssh" && size($0) <= 1_000 && matches($0) }
            .sorted { (size($0), $0.name) < (size($1), $1.name) }
    }
}

extension Permission {
    /// The answer as people call it.
    fileprivate var title: String {
        switch (answer, opening) {
        case (.admins, _): "admins"
        case (.ssh, _): "ssh"
        case (.service(let name), _): name
        case (.ports, .ports(let spec)): "port \(spec)"
        case (.ports, _): "ports"
        case (.ping, _): "ping"
        case (.block, _): "block"
        }
    }
}

extension AddressList {
    /// The first of the addresses and networks, and how many more there are.
    fileprivate var briefly: String {
        let items =
            networks.map(\.description) + interfaces.map { "interface \($0)" }
            + files.map { "the addresses in \($0.path.quoted())" }
        guard items.count > 3 else { return DropReason.listed(items) }
        return DropReason.listed(Array(items.prefix(2)) + ["\(items.count - 2) more"])
    }
}

// MARK: - In words

extension DropReason: CustomStringConvertible {
    /// The reason as a part of a sentence: `no service or port in the answers opens it`.
    package var description: String {
        switch self {
        case .familyOff(let family): "\(family.title) is off (\(family.rawValue): false)"
        case .notOpened: "no service or port in the answers opens it"
        case .notChosen(let names, let isForAdmins):
            "\(Self.listed(names, "or")) would allow it\(isForAdmins ? " from the admins" : ""), but "
                + (names.count == 1 ? "is not in the answers" : "the answers have neither")
        case .limited(let limits):
            limits.map { "\($0.title) allows only \($0.allowed)" }.joined(separator: "; ")
        case .sshElsewhere(let ports):
            "ssh is open on port\(ports.count == 1 ? "" : "s") \(Self.listed(ports.map { "\($0)" })), not on this one"
        case .onlyToGroups(let title, let groups):
            "\(title) allows only packets to the group \(Self.listed(groups.map(\.description), "or"))"
        case .ping(let policy, let hasAdmins):
            hasAdmins
                ? "only the admins may ping this server (ping: \(policy.rawValue))"
                : "nobody may ping this server (ping: \(policy.rawValue), and there are no admins)"
        case .pingLimit: "the answers allow it, but there were too many (ping: limited)"
        case .noConnection: "it belongs to no connection: a late packet or a scan"
        case .unaskedICMP: "it concerns no connection of this server"
        case .noPort: "the log shows no port: a fragment, or a cut-off packet"
        case .published: "the answers do not open this container's port to this address"
        case .blocked(let network): "the answers block \(network)"
        case .overLimit(let title, let limit): "\(title) allows only \(limit.words) from one address"
        case .allowedNow: "the answers allow it now: it came before the last change, or exceeded a limit"
        }
    }

    /// Words in a sentence: `a`, `a and b`, `a, b and c`.
    fileprivate static func listed(_ words: [String], _ last: String = "and") -> String {
        words.count < 2
            ? words.joined() : words.dropLast().joined(separator: ", ") + " \(last) " + (words.last ?? "")
    }
}
