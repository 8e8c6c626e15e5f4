import Netfilter
import Policy

/// What one answer opens, and to whom.
package struct OpenedPorts: Equatable, Sendable {
    /// The answer's name for it: a service, or the port itself.
    package let label: String
    /// The ports it opens.
    package let ports: [PortSpec]
    /// Who may reach them besides the administrators.
    package let source: Source
    /// The question that it is the answer to.
    package let question: Question

    /// Whether the port is among those opened.
    func covers(_ port: UInt16, _ transport: TransportProtocol) -> Bool {
        ports.contains { $0.covers(port, transport) }
    }
}

extension Answers {
    /// What these answers open, in the order of the questions; administrators reach everything besides.
    package func openings(_ catalog: TemplateCatalog, sshPorts: [UInt16]) -> [OpenedPorts] {
        let ssh = OpenedPorts(
            label: "ssh",
            ports: (self.ssh?.ports ?? sshPorts).map { PortSpec(range: PortRange($0), transport: .tcp) },
            source: self.ssh?.from ?? .everyone, question: .ssh)
        // The ssh answer alone decides about SSH; naming it among the services changes nothing.
        let named = services.filter { $0.name != "ssh" }.compactMap { choice in
            catalog[choice.name].map { template in
                OpenedPorts(
                    label: choice.name, ports: template.ports, source: choice.from ?? template.defaultSource,
                    question: .services)
            }
        }
        let single = ports.map { OpenedPorts(label: "", ports: [$0], source: .everyone, question: .ports) }
        return [ssh] + named + single
    }
}
