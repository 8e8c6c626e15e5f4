import Netfilter

// The published ports of containers, whose packets bypass INPUT.
extension Plan {
    /// Who can reach a published port from outside.
    package enum PublishedReach: Equatable, Sendable {
        /// Everyone.
        case everyone
        /// Only these addresses, networks and interfaces; nobody if there are none.
        case only([String])
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
        return .only(
            sources([answers.admins] + covering.compactMap(\.limits)) { isOpen($0) && $0 == family ?? $0 })
    }

    /// The sources of some lists, each once, in some families.
    func sources(_ lists: [AddressList], _ isMeant: (Family) -> Bool) -> [String] {
        Set(lists.flatMap(\.all)).filter { isMeant($0.family) }.sorted().map(\.description)
            + Set(lists.flatMap(\.interfaces)).sorted().map { "interface \($0)" }
    }

    /// Whether a new connection from outside to a published port passes.
    ///
    /// - Parameters:
    ///   - source: where it comes from.
    ///   - transport: TCP or UDP.
    ///   - port: the port that it was sent to, which is not the container's.
    ///   - interface: the interface through which it comes in; nil if it is unknown.
    /// - Returns: false if it is dropped.
    package func acceptsPublished(
        from source: IPAddress, transport: TransportProtocol, port: UInt16, on interface: String? = nil
    ) -> Bool {
        guard limitsPublishedPorts else { return true }
        guard isOpen(source.family), !blocks(source, on: interface) else { return false }
        return answers.admins.contains(source, on: interface)
            || !admitting(source, PortSpec(range: PortRange(port), transport: transport), on: interface).isEmpty
    }

    /// The permissions that allow a source to reach a published port.
    func admitting(_ source: IPAddress, _ spec: PortSpec, on interface: String?) -> [Permission] {
        publishedPermissions.filter {
            $0.covers(spec) && $0.admits(source, on: interface, admins: answers.admins)
        }
    }
}

extension Permission {
    /// Whether it opens all of these ports.
    func covers(_ wanted: PortSpec) -> Bool {
        guard case .ports(let spec) = opening else { return false }
        return spec.transport == wanted.transport && spec.range.lower <= wanted.range.lower
            && wanted.range.upper <= spec.range.upper
    }
}

extension PublishedPort {
    /// The family of its destination; nil if that is not an address.
    var family: Family? {
        if destination.hasPrefix("[") { return .ipv6 }
        let address = destination.split(separator: "-").first.map(String.init) ?? destination
        if (try? IPAddress(parsing: address))?.family == .ipv6 { return .ipv6 }
        return destination.contains(".") ? .ipv4 : nil
    }
}
