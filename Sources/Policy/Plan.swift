import Netfilter

/// What a set of answers allows: all incoming packets that are accepted, in the order of the rules.
///
/// Loopback, replies to the server's own connections, and the ICMPv6 that IPv6 needs are part of every plan, whatever
/// the answers, and are not among the permissions.
package struct Plan: Equatable, Sendable {
    /// The answers that the plan was made from.
    package let answers: Answers
    /// The permissions: admins, SSH, the services in the chosen order, further ports, pings.
    package let permissions: [Permission]
    /// The ports on which SSH is open, ascending.
    package let sshPorts: [UInt16]
    /// The beginnings of the names of interfaces from which this server's own containers send.
    package let containerInterfaces: [String]

    /// Makes a plan from answers.
    ///
    /// Only the `ssh` answer decides about SSH; the service `ssh` is accepted and ignored. The ping policies
    /// `replies-only` and `admins` add no permission: replies are always allowed, and admins may send anything.
    ///
    /// - Parameters:
    ///   - answers: the user's answers.
    ///   - catalog: the service templates.
    ///   - sshPorts: the ports sshd listens on; if they are unknown (empty), 22 is used.
    ///   - interfaces: the names of this machine's interfaces.
    /// - Throws: unknown service names and invalid ports; in an answers file, both were checked before.
    package init(
        answers: Answers, catalog: TemplateCatalog, sshPorts: [UInt16], interfaces: [String] = []
    ) throws(PlanError) {
        let ports = answers.ssh?.ports ?? sshPorts
        guard !ports.contains(0) else { throw .portZero }
        let open = ports.isEmpty ? [22] : Set(ports).sorted()

        var permissions =
            answers.admins.isEmpty
            ? [] : [Permission(answer: .admins, opening: .everything, source: .admins)]
        permissions += open.map { port in
            Permission(
                answer: .ssh, opening: .ports(PortSpec(range: PortRange(port), transport: .tcp)),
                source: answers.ssh?.from ?? .everyone, limit: answers.ssh?.limit)
        }
        for choice in answers.services where choice.name != "ssh" {
            guard let template = catalog[choice.name] else {
                throw .unknownService(choice.name, nearest: Suggestion.nearest(to: choice.name, among: catalog.names))
            }
            permissions += template.openings.map { opening in
                Permission(
                    answer: .service(template.name), opening: opening, source: choice.from ?? template.defaultSource,
                    limit: choice.limit)
            }
        }
        permissions += answers.ports.sorted { $0.ports < $1.ports }.map { choice in
            Permission(answer: .ports, opening: .ports(choice.ports), source: choice.from, limit: choice.limit)
        }
        switch answers.ping {
        case .repliesOnly, .admins: break
        case .limited: permissions.append(Permission(answer: .ping, opening: .ping(limited: true), source: .everyone))
        case .everyone: permissions.append(Permission(answer: .ping, opening: .ping(limited: false), source: .everyone))
        }
        self.answers = answers
        self.permissions = permissions
        self.sshPorts = open
        containerInterfaces = ContainerInterfaces.prefixes(on: interfaces)
    }
}

extension Plan {
    /// The interfaces that the answers name, each once.
    package var namedInterfaces: [InterfaceName] {
        let lists = [answers.admins, answers.block] + permissions.compactMap(\.limits)
        return Set(lists.flatMap(\.interfaces)).sorted()
    }

    /// What only admins may reach although there are none, as named in the answers.
    package var unreachable: [String] {
        guard answers.admins.isEmpty else { return [] }
        var names: [String] = []
        for permission in permissions where permission.source == .admins {
            let name: String? =
                switch permission.answer {
                case .ssh: "ssh"
                case .service(let name): name
                case .ports: permission.opening.portSpec?.description
                case .admins, .ping, .block: nil
                }
            if let name, !names.contains(name) { names.append(name) }
        }
        return names
    }
}

extension ServiceTemplate {
    /// Who may reach the service if the answers don't say.
    package var defaultSource: Source {
        switch audience {
        case .everyone: .everyone
        case .admins: .admins
        }
    }

    /// Everything that has to be allowed for the service.
    package var openings: [Permission.Opening] {
        ports.map { multicast.isEmpty ? .ports($0) : .multicast($0, groups: multicast) }
            + protocols.map { .ipProtocol($0) }
    }
}

/// Why answers that a program made, instead of a file, are not valid.
package enum PlanError: Error, Equatable, Sendable {
    /// No template has that name; `nearest` is a suggestion.
    case unknownService(String, nearest: String?)
    /// Port 0 for SSH.
    case portZero
}

extension PlanError: CustomStringConvertible {
    /// What is wrong and what to do, for a person.
    package var description: String {
        switch self {
        case .unknownService(let name, let nearest?):
            "\(name.quoted) is not a known service. Did you mean \(nearest.quoted)?"
        case .unknownService(let name, nil):
            "\(name.quoted) is not a known service. \"latchkey services\" lists them."
        case .portZero:
            "\"0\" is not an SSH port: ports are numbered from 1 to 65535."
        }
    }
}
