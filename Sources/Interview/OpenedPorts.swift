import Netfilter
import Policy

/// The ports that one answer opens, and the source that they are open to.
package struct OpenedPorts: Equatable, Sendable {
    /// The name in the answer: a service, or empty for single ports.
    package let label: String
    /// The open ports.
    package let ports: [PortSpec]
    /// Who can reach them, in addition to the administrators.
    package let source: Source
    /// How many new connections one address may make; nil means any number.
    package let limit: RateLimit?
    /// The question that this answers.
    package let question: Question

    /// Whether the port is one of the open ports.
    func covers(_ port: UInt16, _ transport: TransportProtocol) -> Bool {
        ports.contains { $0.covers(port, transport) }
    }
}

extension Answers {
    /// The ports that these answers open, in the order of the questions.
    ///
    /// Administrators can reach every port as well.
    package func openings(_ catalog: TemplateCatalog, sshPorts: [UInt16]) -> [OpenedPorts] {
        let ssh = OpenedPorts(
            label: "ssh",
            ports: (self.ssh?.ports ?? sshPorts).map { PortSpec(range: PortRange($0), transport: .tcp) },
            source: self.ssh?.from ?? .everyone, limit: self.ssh?.limit, question: .ssh)
        // Only the ssh answer decides about SSH. Naming it among the services changes nothing.
        let named = services.filter { $0.name != "ssh" }.compactMap { choice in
            catalog[choice.name].map { template in
                OpenedPorts(
                    label: choice.name, ports: template.ports, source: choice.from ?? template.defaultSource,
                    limit: choice.limit, question: .services)
            }
        }
        let single = ports.map { choice in
            OpenedPorts(
                label: "", ports: [choice.ports], source: choice.from, limit: choice.limit, question: .ports)
        }
        return [ssh] + named + single
    }
}
