import Netfilter

/// The user's answers: the admins, the services, and who may reach them.
///
/// They don't depend on rules or on this machine; a `Plan` is made from them.
package struct Answers: Equatable, Sendable {
    /// Addresses and networks that may reach everything.
    package var admins: AddressList
    /// Services by the name of their template, in the order in which they were chosen.
    package var services: [ServiceChoice]
    /// Further open ports.
    package var ports: [PortSpec]
    /// Who gets an answer to a ping.
    package var ping: PingPolicy
    /// The SSH answer; nil means everyone, on the ports that sshd listens on.
    package var ssh: SSHAnswer?
    /// Whether IPv6 is open like IPv4; otherwise only loopback and replies are allowed.
    package var ipv6: Bool
    /// Whether dropped packets are logged, a few a minute.
    package var log: Bool
    /// What to do with existing rules.
    package var existing: ExistingRules
    /// Who may reach the published ports of containers.
    package var docker: DockerPolicy

    package init(
        admins: AddressList = [], services: [ServiceChoice] = [], ports: [PortSpec] = [],
        ping: PingPolicy = .repliesOnly, ssh: SSHAnswer? = nil, ipv6: Bool = true, log: Bool = false,
        existing: ExistingRules = .keep, docker: DockerPolicy = .open
    ) {
        self.admins = admins
        self.services = services
        self.ports = ports
        self.ping = ping
        self.ssh = ssh
        self.ipv6 = ipv6
        self.log = log
        self.existing = existing
        self.docker = docker
    }
}

/// A service that the server offers.
package struct ServiceChoice: Equatable, Sendable {
    /// The name of a service template.
    package var name: String
    /// Who may reach it; nil means the template's default.
    package var from: Source?

    package init(_ name: String, from: Source? = nil) {
        self.name = name
        self.from = from
    }
}

/// Who may reach something.
package enum Source: Equatable, Sendable {
    case everyone
    case admins
    /// These addresses and networks, at least one; the admins reach everything anyway.
    case networks(AddressList)
}

/// Addresses and networks, written in the answers or in files that the answers name.
package struct AddressList: Equatable, Sendable, ExpressibleByArrayLiteral {
    /// Those written in the answers.
    package var networks: [CIDR]
    /// The files.
    package var files: [AddressFile]

    /// A list with these parts.
    package init(_ networks: [CIDR] = [], files: [AddressFile] = []) {
        self.networks = networks
        self.files = files
    }

    package init(arrayLiteral networks: CIDR...) { self.init(networks) }

    /// All of them, including those of the files.
    package var all: [CIDR] { files.isEmpty ? networks : networks + files.flatMap(\.networks) }

    /// Whether it is empty.
    package var isEmpty: Bool { networks.isEmpty && files.isEmpty }

    /// Whether the address is among them.
    package func contains(_ address: IPAddress) -> Bool {
        networks.contains { $0.contains(address) } || files.contains { $0.contains(address) }
    }
}

/// The SSH answer; no other answer affects SSH.
package struct SSHAnswer: Equatable, Sendable {
    /// The ports, at least one; nil means the ports that sshd listens on.
    package var ports: [UInt16]?
    /// Who may log in.
    package var from: Source

    package init(ports: [UInt16]? = nil, from: Source = .everyone) {
        self.ports = ports
        self.from = from
    }
}

/// Who gets an answer to a ping (an ICMP echo request).
package enum PingPolicy: String, CaseIterable, Sendable {
    /// Only the admins; the server's own pings still get their replies.
    case repliesOnly = "replies-only"
    /// The admins, as an explicit answer.
    case admins
    /// Everyone, a few a second.
    case limited
    /// Everyone.
    case everyone
}

/// What to do with existing rules.
package enum ExistingRules: String, CaseIterable, Sendable {
    /// Only the filter table's INPUT chain changes.
    case keep
    /// All rules and chains of filter and nat are removed first.
    case replace
}

/// Who may reach the published ports of containers, whose packets bypass INPUT.
package enum DockerPolicy: String, CaseIterable, Sendable {
    /// Those who may reach the same port of the server itself: the answers decide.
    case answers
    /// Everyone, as Docker has it.
    case open
}
