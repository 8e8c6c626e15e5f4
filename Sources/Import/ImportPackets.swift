import Netfilter
import Policy

/// The packets that show where two sets of rules differ: to every port that either names, from everyone it names.
package struct ImportPackets: Sendable, Equatable {
    /// Where they come from.
    package var sources: [IPAddress]
    /// What is sent.
    package var packets: [Expectation.Packet]
    /// The interfaces through which they come in, besides.
    package var interfaces: [String] = []
}

extension ImportResult {
    /// The most ports that are tried, and the most sources.
    private static let mostPorts = 160
    private static let mostSources = 12

    /// The packets for a comparison.
    ///
    /// - Parameter machine: the machine.
    /// - Returns: packets from strangers, the admins, the members of limited networks and the present SSH connection.
    package func probes(_ machine: ImportMachine) -> ImportPackets {
        let sample: [UInt16] = [22, 25, 53, 80, 111, 443, 3306, 5432, 8080]
        var specs = Set(machine.listening + ports)
        for port in sample + machine.sshPorts {
            specs.insert(PortSpec(range: PortRange(port), transport: .tcp))
        }
        for port: UInt16 in [53, 123, 443, 5353] { specs.insert(PortSpec(range: PortRange(port), transport: .udp)) }
        var packets: [Expectation.Packet] = [.ping]
        for spec in specs.sorted().prefix(Self.mostPorts) {
            for port in Set([spec.range.lower, spec.range.upper]).sorted() {
                packets.append(spec.transport == .tcp ? .tcp(port) : .udp(port))
            }
        }
        // Of each family the first that no rule names.
        let strangers = [
            ["198.51.100.77", "203.0.113.77", "9.9.9.77"], ["2001:db8:bad::77", "3fff:bad::77", "2600:bad::77"],
        ].compactMap { names -> IPAddress? in
            let all = names.compactMap { try? IPAddress(parsing: $0) }
            return all.first { host in !networks.contains { $0.contains(host) } } ?? all.first
        }
        let members = networks.compactMap { network -> IPAddress? in
            if network.isHost { return network.address }
            // The second address of a network can be a host's.
            var bytes = network.address.bytes
            bytes[bytes.count - 1] |= network.prefixLength < bytes.count * 8 - 1 ? 2 : 0
            return IPAddress(bytes: bytes)
        }
        let all = strangers + [machine.caller].compactMap(\.self) + members.prefix(Self.mostSources)
        var seen: Set<IPAddress> = []
        let sources = all.filter { machine.families.contains($0.family) && $0.canSend && seen.insert($0).inserted }
        var unique: [Expectation.Packet] = []
        for packet in packets where !unique.contains(packet) { unique.append(packet) }
        return ImportPackets(sources: sources, packets: unique, interfaces: interfaces)
    }
}
