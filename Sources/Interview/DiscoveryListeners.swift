import Netfilter
import Policy

extension Discovery {
    /// The listeners that indicate a service: any listener on a port that only it uses, or its program on its port.
    ///
    /// A program's name is not enough, because a program that supports two protocols may listen for only one of them.
    func listeners(for template: ServiceTemplate) -> [Listener] {
        listeners.filter { listener in
            if template.hintPorts.contains(where: { $0.covers(listener.port, listener.transport) }) { return true }
            guard let program = listener.program, template.programs.contains(program) else { return false }
            return template.ports.contains { $0.covers(listener.port, listener.transport) }
        }
    }

    /// The services that other machines can reach now, without SSH.
    func detectedServices(_ catalog: TemplateCatalog) -> [ServiceTemplate] {
        catalog.all.filter { template in
            template.name != "ssh" && listeners(for: template).contains { !$0.loopbackOnly }
        }
    }
}

extension PortSpec {
    /// Whether the port is in the range.
    func covers(_ port: UInt16, _ transport: TransportProtocol) -> Bool {
        self.transport == transport && range.lower <= port && port <= range.upper
    }
}

extension Array where Element == PortSpec {
    /// The ports in short form: "80 443".
    ///
    /// The protocol is shown only for ports that are not TCP.
    var brief: String {
        let tcp = filter { $0.transport == .tcp }.map(\.range)
        let other = filter { $0.transport != .tcp && !tcp.contains($0.range) }
        return (tcp.map(\.description) + other.map(\.description)).joined(separator: " ")
    }
}
