import Netfilter

// The published ports of containers, whose packets bypass INPUT.
extension Plan {
    /// Who can reach a published port from outside.
    package enum PublishedReach: Equatable, Sendable {
        /// Everyone.
        case everyone
        /// Only these addresses and networks; nobody if there are none.
        case only([CIDR])
        /// Only this machine: the port is published on a loopback address.
        case thisMachine
    }

    /// Whether the answers decide about published ports too.
    package var limitsPublishedPorts: Bool { answers.docker == .answers }

    /// The permissions that hold for published ports: those of services and further ports.
    ///
    /// SSH is about the server itself and never about a container.
    package var publishedPermissions: [Permission] {
        permissions.filter { permission in
            guard case .ports = permission.opening else { return false }
            return permission.answer != .ssh
        }
    }

    /// Who can reach a published port under this plan.
    package func reach(of port: PublishedPort) -> PublishedReach {
        if port.isLocalOnly { return .thisMachine }
        guard limitsPublishedPorts else { return .everyone }
        let covering = publishedPermissions.filter { $0.covers(port.ports) }
        let family = port.family
        if covering.contains(where: { $0.source == .everyone }), family.map(isOpen) ?? true { return .everyone }
        let limits = covering.flatMap { permission in
            if case .networks(let networks) = permission.source { networks.all } else { [CIDR]() }
        }
        let sources = Set(answers.admins.all + limits).filter { isOpen($0.family) && $0.family == family ?? $0.family }
        return .only(sources.sorted())
    }

    /// Whether a new connection from outside to a published port passes.
    ///
    /// - Parameters:
    ///   - source: where it comes from.
    ///   - transport: TCP or UDP.
    ///   - port: the port that it was sent to, which is not the container's.
    /// - Returns: false if it is dropped.
    package func acceptsPublished(from source: IPAddress, transport: TransportProtocol, port: UInt16) -> Bool {
        guard limitsPublishedPorts else { return true }
        guard isOpen(source.family) else { return false }
        let spec = PortSpec(range: PortRange(port), transport: transport)
        return answers.admins.contains(source)
            || publishedPermissions.contains { $0.covers(spec) && $0.admits(source, admins: answers.admins) }
    }
}

extension Permission {
    /// Whether it opens all of these ports.
    fileprivate func covers(_ wanted: PortSpec) -> Bool {
        guard case .ports(let spec) = opening else { return false }
        return spec.transport == wanted.transport && spec.range.lower <= wanted.range.lower
            && wanted.range.upper <= spec.range.upper
    }
}

extension PublishedPort {
    /// The family of its destination; nil if that is not an address.
    fileprivate var family: Family? {
        if destination.hasPrefix("[") { return .ipv6 }
        let address = destination.split(separator: "-").first.map(String.init) ?? destination
        if (try? IPAddress(parsing: address))?.family == .ipv6 { return .ipv6 }
        return destination.contains(".") ? .ipv4 : nil
    }
}
