import Netfilter

/// The user's answers: the admins, the services, and who may reach them.
///
/// They don't depend on rules or on this machine; a `Plan` is made from them.
package struct Answers: Equatable, Sendable {
    /// Addresses, networks and interfaces that may reach everything.
    package var admins: AddressList
    /// Services by the name of their template, in the order in which they were chosen.
    package var services: [ServiceChoice]
    /// Further open ports.
    package var ports: [PortChoice]
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
    /// What is dropped ahead of everything but loopback, replies and the admins.
    package var block: AddressList

    package init(
        admins: AddressList = [], services: [ServiceChoice] = [], ports: [PortChoice] = [],
        ping: PingPolicy = .repliesOnly, ssh: SSHAnswer? = nil, ipv6: Bool = true, log: Bool = false,
        existing: ExistingRules = .keep, docker: DockerPolicy = .open, block: AddressList = []
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
        self.block = block
    }
}

/// A service that the server offers.
package struct ServiceChoice: Equatable, Sendable {
    /// The name of a service template.
    package var name: String
    /// Who may reach it; nil means the template's default.
    package var from: Source?
    /// How many new connections one address may make; nil means any number.
    package var limit: RateLimit?

    package init(_ name: String, from: Source? = nil, limit: RateLimit? = nil) {
        self.name = name
        self.from = from
        self.limit = limit
    }
}

/// Further open ports.
package struct PortChoice: Hashable, Sendable {
    /// The ports.
    package var ports: PortSpec
    /// Who may reach them.
    package var from: Source
    /// How many new connections one address may make; nil means any number.
    package var limit: RateLimit?

    package init(_ ports: PortSpec, from: Source = .everyone, limit: RateLimit? = nil) {
        self.ports = ports
        self.from = from
        self.limit = limit
    }
}

/// Who may reach something.
package enum Source: Hashable, Sendable {
    case everyone
    case admins
    /// These addresses, networks and interfaces, at least one; the admins reach everything anyway.
    case networks(AddressList)
}

/// The SSH answer; no other answer affects SSH.
package struct SSHAnswer: Equatable, Sendable {
    /// The ports, at least one; nil means the ports that sshd listens on.
    package var ports: [UInt16]?
    /// Who may log in.
    package var from: Source
    /// How many new connections one address may make; nil means any number.
    package var limit: RateLimit?

    package init(ports: [UInt16]? = nil, from: Source = .everyone, limit: RateLimit? = nil) {
        self.ports = ports
        self.from = from
        self.limit = limit
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
