import Netfilter
import Policy

extension Discovery {
    /// The programs here that speak for a service: whatever listens where only it does, or its program on its port.
    ///
    /// A program's name alone is no hint: one that serves two protocols listens for those it is set up for.
    func listeners(for template: ServiceTemplate) -> [Listener] {
        listeners.filter { listener in
            if template.hintPorts.contains(where: { $0.covers(listener.port, listener.transport) }) { return true }
            guard let program = listener.program, template.programs.contains(program) else { return false }
            return template.ports.contains { $0.covers(listener.port, listener.transport) }
        }
    }

    /// The services whose programs others can reach here now, SSH left out.
    func hinted(_ catalog: TemplateCatalog) -> [ServiceTemplate] {
        catalog.all.filter { template in
            template.name != "ssh" && listeners(for: template).contains { !$0.loopbackOnly }
        }
    }
}

extension PortSpec {
    /// Whether the port is among these.
    func covers(_ port: UInt16, _ transport: TransportProtocol) -> Bool {
        self.transport == transport && range.lower <= port && port <= range.upper
    }
}

extension Array where Element == PortSpec {
    /// The ports as a person scans them: "80 443"; the protocol only where it is not TCP's.
    var brief: String {
        let tcp = filter { $0.transport == .tcp }.map(\.range)
        let other = filter { $0.transport != .tcp && !tcp.contains($0.range) }
        return (tcp.map(\.description) + other.map(\.description)).joined(separator: " ")
    }
}
