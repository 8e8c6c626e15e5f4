import Netfilter
import Policy

/// What an import has to know of the machine.
package struct ImportMachine: Sendable {
    /// The interfaces that others come in through: not loopback, and not those of the machine's own guests.
    package var interfaces: [String]
    /// The interfaces of the machine's own guests that rules name.
    var guests: [String] = []
    /// The machine's own addresses.
    package var addresses: [IPAddress]
    /// The ports that something listens on, for other machines.
    package var listening: [PortSpec]
    /// The ports that sshd listens on; empty if they are unknown.
    package var sshPorts: [UInt16]
    /// The address that the present SSH connection comes from; nil without one.
    package var caller: IPAddress?
    /// The server's port of that connection.
    package var callerPort: UInt16?
    /// The families that the kernel has.
    package var families: [Family]

    /// A machine; see the properties.
    package init(
        interfaces: [String] = ["eth0"], addresses: [IPAddress] = [], listening: [PortSpec] = [],
        sshPorts: [UInt16] = [22], caller: IPAddress? = nil, callerPort: UInt16? = nil,
        families: [Family] = Family.allCases
    ) {
        self.interfaces = interfaces
        self.addresses = addresses
        self.listening = listening
        self.sshPorts = sshPorts
        self.caller = caller
        self.callerPort = callerPort
        self.families = families
    }

    /// The same machine with the interfaces that rules name, even where it does not have them now.
    func naming(_ named: [String]) -> ImportMachine {
        var machine = self
        let valid = named.filter { !interfaces.contains($0) && (try? InterfaceName(parsing: $0)) != nil }
        machine.guests = valid.filter(Self.isForGuests)
        machine.interfaces += valid.filter { !Self.isForGuests($0) }
        return machine
    }

    /// Whether an interface is a bridge to the machine's own containers or virtual machines.
    ///
    /// - Parameter name: the interface's name.
    /// - Returns: whether its name begins as those of such bridges do.
    package static func isForGuests(_ name: String) -> Bool {
        ["docker", "br-", "veth", "virbr", "podman", "cni", "lxcbr", "lxdbr", "incusbr"].contains { name.hasPrefix($0) }
    }

    /// The ports of SSH: those that sshd listens on, and that of the present connection.
    var usedSSHPorts: [UInt16] {
        Set((sshPorts.isEmpty ? [22] : sshPorts) + [callerPort].compactMap(\.self)).sorted()
    }

    /// The ways in which packets of a family come in from outside.
    func viewpoints(_ family: Family) -> [Viewpoint] {
        // Without an interface of its own, rules that name none still count.
        (interfaces.isEmpty ? [""] : interfaces).map { viewpoint(family, $0) }
    }

    /// The ways in which packets of a family come in from guests, where rules name those interfaces.
    func guestViewpoints(_ family: Family) -> [Viewpoint] { guests.map { viewpoint(family, $0) } }

    private func viewpoint(_ family: Family, _ interface: String) -> Viewpoint {
        Viewpoint(
            family, interface: interface, interfaces: interfaces + guests,
            addresses: addresses.filter { $0.family == family })
    }
}

/// What became of the rules of another firewall program.
package struct ImportResult: Equatable, Sendable {
    /// A rule that the answers say.
    package struct Imported: Hashable, Sendable {
        /// The rule, as its program writes it.
        package var rule: String
        /// The answers, such as `services: web`.
        package var answer: String
    }

    /// A rule, or a part of one, that the answers cannot say.
    package struct Omitted: Hashable, Sendable {
        /// The rule, as its program writes it.
        package var rule: String
        /// Why the answers cannot say it.
        package var reason: String
        /// How it will be with the answers.
        package var effect: String
    }

    /// The answers.
    package var answers: Answers
    /// The rules that they say.
    package var imported: [Imported]
    /// Those that they cannot say.
    package var omitted: [Omitted]
    /// Further sentences.
    package var notes: [String]
    /// The ports that the rules name.
    package var ports: [PortSpec] = []
    /// The networks that the rules name.
    package var networks: [CIDR] = []
    /// The interfaces that the rules name.
    package var interfaces: [String] = []
}
