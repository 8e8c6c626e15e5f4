import Netfilter

/// What was found out about the machine before the first question; anything may be missing.
package struct Discovery: Equatable, Sendable {
    /// A program that waits for connections.
    package struct Listener: Equatable, Sendable {
        /// The program's name, where it could be found out.
        package var program: String?
        /// The port it listens on.
        package var port: UInt16
        /// The transport protocol of that port.
        package var transport: TransportProtocol
        /// Whether only this machine itself can reach it.
        package var loopbackOnly: Bool
        /// Other machines that are connected to it now.
        package var peers: [IPAddress]

        /// Makes a listener.
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

        /// Makes an address.
        package init(_ address: IPAddress, interface: String) {
            self.address = address
            self.interface = interface
        }
    }

    /// Whose rules there are, and how many.
    package struct RuleOwner: Equatable, Sendable {
        /// The name that latchkey's own rules go by.
        package static let latchkey = "latchkey"

        /// The program's name; "nobody" for rules that no program is known by.
        package var name: String
        /// How many rules.
        package var count: Int

        /// Makes an owner.
        package init(_ name: String, count: Int) {
            self.name = name
            self.count = count
        }
    }

    /// The address the person comes from; nil at a local console, or where it could not be found out.
    package var peer: IPAddress?
    /// How the address is known where their own connection is not to be seen, such as "as tmux's window shows".
    package var peerEvidence: String?
    /// The port of this machine that their SSH connection uses.
    package var peerPort: UInt16?
    /// The ports that sshd listens on; never empty.
    package var sshPorts: [UInt16]
    /// The programs that wait for connections.
    package var listeners: [Listener]
    /// This machine's addresses, without loopback.
    package var addresses: [Address]
    /// How many firewall rules there are now; nil where it could not be found out.
    package var rulesNow: Int?
    /// Whose they are, the most first.
    package var ruleOwners: [RuleOwner] = []
    /// The rules in INPUT that belong to nobody and that "keep" would replace too.
    package var unownedInputRules: [String]
    /// The names of other programs' chains.
    package var otherChains: [String]
    /// The names of other firewall managers that are switched on.
    package var otherFirewalls: [String]
    /// Whether Docker is here; nil where it could not be found out.
    package var docker: Bool?

    /// Makes a discovery; what is left out was not found out.
    package init(
        peer: IPAddress? = nil, peerPort: UInt16? = nil, sshPorts: [UInt16] = [22], listeners: [Listener] = [],
        addresses: [Address] = [], rulesNow: Int? = nil, unownedInputRules: [String] = [],
        otherChains: [String] = [], otherFirewalls: [String] = [], docker: Bool? = nil
    ) {
        self.peer = peer
        self.peerPort = peerPort
        // Where nobody could find out, 22 is taken, as the plan does.
        self.sshPorts = sshPorts.isEmpty ? [22] : sshPorts
        self.listeners = listeners
        self.addresses = addresses
        self.rulesNow = rulesNow
        self.unownedInputRules = unownedInputRules
        self.otherChains = otherChains
        self.otherFirewalls = otherFirewalls
        self.docker = docker
    }

    /// Whether there is anything that "keep or replace" could be about: latchkey's own rules are replaced either way.
    package var hasExistingRules: Bool {
        let others =
            ruleOwners.isEmpty ? (rulesNow ?? 0) > 0 : ruleOwners.contains { $0.name != RuleOwner.latchkey }
        return others || !otherChains.isEmpty || !unownedInputRules.isEmpty
    }

    /// The listeners that other machines can reach, SSH's left out.
    var worldListeners: [Listener] {
        listeners.filter { !$0.loopbackOnly && !($0.transport == .tcp && sshPorts.contains($0.port)) }
    }
}
