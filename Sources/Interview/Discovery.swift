import Netfilter

/// Facts about the machine, collected before the first question.
///
/// Any of them may be missing.
package struct Discovery: Equatable, Sendable {
    /// A program that listens for connections.
    package struct Listener: Equatable, Sendable {
        /// The program's name, if known.
        package var program: String?
        /// The port it listens on.
        package var port: UInt16
        /// The transport protocol of that port.
        package var transport: TransportProtocol
        /// Whether it can be reached only from this machine.
        package var loopbackOnly: Bool
        /// Other machines that are connected to it.
        package var peers: [IPAddress]

        /// Creates a listener.
        package init(
            program: String? = nil, port: UInt16, transport: TransportProtocol, loopbackOnly: Bool = false,
            peers: [IPAddress] = []
        ) {
            self.program = program
            self.port = port
            self.transport = transport
            self.loopbackOnly = loopbackOnly
            self.peers = peers
        }
    }

    /// An address of this machine.
    package struct Address: Equatable, Sendable {
        /// The address.
        package var address: IPAddress
        /// The network interface that has it.
        package var interface: String

        /// Creates an address.
        package init(_ address: IPAddress, interface: String) {
            self.address = address
            self.interface = interface
        }
    }

    /// A port of a container that other machines can reach.
    package struct PublishedPort: Hashable, Sendable {
        /// The ports.
        package var ports: PortSpec
        /// The container's name, if known.
        package var container: String?

        /// Creates a published port.
        package init(_ ports: PortSpec, container: String? = nil) {
            self.ports = ports
            self.container = container
        }
    }

    /// A program that owns firewall rules, and the number of its rules.
    package struct RuleOwner: Equatable, Sendable {
        /// The owner name of latchkey's own rules.
        package static let latchkey = "latchkey"
        /// The owner name of rules that belong to no known program.
        package static let unknown = "unknown"

        /// The program's name; ``unknown`` for rules that belong to no known program.
        package var name: String
        /// The number of rules.
        package var count: Int

        /// Creates an owner.
        package init(_ name: String, count: Int) {
            self.name = name
            self.count = count
        }
    }

    /// The address that the user is connected from; nil at a local console, or if it is unknown.
    package var peer: IPAddress?
    /// How the address is known if the user's own connection is not visible, for example "by SSH, through tmux".
    package var peerEvidence: String?
    /// The port on this machine that the user's SSH connection uses.
    package var peerPort: UInt16?
    /// The ports that sshd listens on; never empty.
    package var sshPorts: [UInt16]
    /// The programs that listen for connections.
    package var listeners: [Listener]
    /// The addresses of this machine, without loopback.
    package var addresses: [Address]
    /// The number of firewall rules now; nil if unknown.
    package var rulesNow: Int?
    /// The owners of these rules, sorted by the number of rules, largest first.
    package var ruleOwners: [RuleOwner] = []
    /// The rules in INPUT that belong to no known program.
    ///
    /// "keep" replaces them too.
    package var unownedInputRules: [String]
    /// The names of other programs' chains.
    package var otherChains: [String]
    /// The names of other firewall managers that are running or enabled.
    package var otherFirewalls: [String]
    /// The firewall managers among them, which a change can take over.
    package var managers: [FoundManager] = []
    /// The chains and the rules in INPUT that are the managers': they go when a change takes over.
    package var managerRules: ManagerRules?
    /// Whether Docker is running; nil if unknown.
    package var docker: Bool?

    /// Creates a discovery.
    ///
    /// Parameters that are left out are unknown.
    package init(
        peer: IPAddress? = nil, peerPort: UInt16? = nil, sshPorts: [UInt16] = [22], listeners: [Listener] = [],
        addresses: [Address] = [], rulesNow: Int? = nil, unownedInputRules: [String] = [],
        otherChains: [String] = [], otherFirewalls: [String] = [], docker: Bool? = nil
    ) {
        self.peer = peer
        self.peerPort = peerPort
        // If the ports are unknown, 22 is used, as in the plan.
        self.sshPorts = sshPorts.isEmpty ? [22] : sshPorts
        self.listeners = listeners
        self.addresses = addresses
        self.rulesNow = rulesNow
        self.unownedInputRules = unownedInputRules
        self.otherChains = otherChains
        self.otherFirewalls = otherFirewalls
        self.docker = docker
    }

    /// The networks that are directly on this machine's interfaces.
    package var networks: [Network] = []

    /// The names of this machine's interfaces, with or without addresses.
    package var interfaceNames: [String] = []

    /// The published ports of containers, without those that only this machine can reach.
    package var published: [PublishedPort] = []

    /// Whether latchkey changes only a table of its own, so that all other rules stay.
    package var hasOwnTable = false

    /// Whether there are existing rules to keep or replace.
    ///
    /// latchkey's own rules don't count, because they are always replaced.
    package var hasExistingRules: Bool {
        guard !hasOwnTable else { return false }
        let others =
            ruleOwners.isEmpty ? (rulesNow ?? 0) > 0 : ruleOwners.contains { $0.name != RuleOwner.latchkey }
        return others || !otherChains.isEmpty || !unownedInputRules.isEmpty
    }

    /// The listeners that other machines can reach, without SSH.
    var worldListeners: [Listener] {
        listeners.filter { !$0.loopbackOnly && !($0.transport == .tcp && sshPorts.contains($0.port)) }
    }
}
