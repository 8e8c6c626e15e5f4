import Netfilter

/// What a set of answers stands for: everything that may come in, in the order in which rules will say it.
///
/// Loopback, replies to what the server began, and what IPv6 needs to live belong to every plan and are no
/// permissions: no answer takes them away.
package struct Plan: Equatable, Sendable {
    /// The answers that the plan was made from.
    package let answers: Answers
    /// What may come in: the admins, SSH, the services in the order chosen, the further ports, pings.
    package let permissions: [Permission]
    /// The ports on which SSH is open, ascending.
    package let sshPorts: [UInt16]

    /// Works out what the answers mean.
    ///
    /// The `ssh` answer alone decides about SSH; the service `ssh` is taken without a word and adds nothing. The ping
    /// policies `replies-only` and `admins` yield no permission: replies come in as replies, and the admins may send
    /// anything, pings too.
    ///
    /// - Parameters:
    ///   - answers: what the user said.
    ///   - catalog: the service templates.
    ///   - sshPorts: what sshd listens on here; none means that nobody could find out, and 22 is taken.
    /// - Throws: names that no template bears, and ports that are none; an answers file is checked for both before.
    package init(answers: Answers, catalog: TemplateCatalog, sshPorts: [UInt16]) throws(PlanError) {
        let ports = answers.ssh?.ports ?? sshPorts
        guard !ports.contains(0) else { throw .portZero }
        let open = ports.isEmpty ? [22] : Set(ports).sorted()

        var permissions =
            answers.admins.isEmpty
            ? [] : [Permission(answer: .admins, opening: .everything, source: .admins)]
        permissions += open.map { port in
            Permission(
                answer: .ssh, opening: .ports(PortSpec(range: PortRange(port), transport: .tcp)),
                source: answers.ssh?.from ?? .everyone)
        }
        for choice in answers.services where choice.name != "ssh" {
            guard let template = catalog[choice.name] else {
                throw .unknownService(choice.name, nearest: Suggestion.nearest(to: choice.name, among: catalog.names))
            }
            permissions += template.openings.map { opening in
                Permission(
                    answer: .service(template.name), opening: opening, source: choice.from ?? template.defaultSource)
            }
        }
        permissions += answers.ports.sorted().map { port in
            Permission(answer: .ports, opening: .ports(port), source: .everyone)
        }
        switch answers.ping {
        case .repliesOnly, .admins: break
        case .limited: permissions.append(Permission(answer: .ping, opening: .ping(limited: true), source: .everyone))
        case .everyone: permissions.append(Permission(answer: .ping, opening: .ping(limited: false), source: .everyone))
        }
        self.answers = answers
        self.permissions = permissions
        self.sshPorts = open
    }
}

extension Plan {
    /// What only the admins may reach while there are none, by its name in the answers.
    package var unreachable: [String] {
        guard answers.admins.isEmpty else { return [] }
        var names: [String] = []
        for permission in permissions where permission.source == .admins {
            let name: String? =
                switch permission.answer {
                case .ssh: "ssh"
                case .service(let name): name
                case .admins, .ports, .ping: nil
                }
            if let name, !names.contains(name) { names.append(name) }
        }
        return names
    }
}

extension ServiceTemplate {
    /// Who may reach the service when the answers name nobody.
    package var defaultSource: Source {
        switch audience {
        case .everyone: .everyone
        case .admins: .admins
        }
    }

    /// All that has to be let in for the service.
    package var openings: [Permission.Opening] {
        ports.map { multicast.isEmpty ? .ports($0) : .multicast($0, groups: multicast) }
            + protocols.map { .ipProtocol($0) }
    }
}

/// Why answers that were made by a program, not read from a file, are no plan.
package enum PlanError: Error, Equatable, Sendable {
    /// No template bears that name; `nearest` is what was perhaps meant.
    case unknownService(String, nearest: String?)
    /// Port 0 for SSH.
    case portZero
}

extension PlanError: CustomStringConvertible {
    /// What is wrong and what to do, for a person.
    package var description: String {
        switch self {
        case .unknownService(let name, let nearest?):
            "\(name.quoted) is not a service known here. Did you mean \(nearest.quoted)?"
        case .unknownService(let name, nil):
            "\(name.quoted) is not a service known here. \"latchkey services\" lists them."
        case .portZero:
            "\"0\" is not a port for SSH: ports are numbered from 1 to 65535."
        }
    }
}
