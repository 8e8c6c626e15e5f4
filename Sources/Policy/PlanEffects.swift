import Netfilter

/// What a plan changes for the programs that run on the machine now.
package struct PlanEffects: Equatable, Sendable {
    /// A program that listens now.
    package struct Listener: Equatable, Sendable {
        /// The program's name, where it is known.
        package let program: String?
        /// Its port.
        package let port: UInt16
        /// TCP or UDP.
        package let transport: TransportProtocol
        /// The peers that are connected to it now.
        package let peers: [IPAddress]

        /// A listener that other machines can reach.
        package init(program: String?, port: UInt16, transport: TransportProtocol, peers: [IPAddress] = []) {
            self.program = program
            self.port = port
            self.transport = transport
            self.peers = peers
        }

        /// `node 3000/tcp`, or the port alone.
        package var title: String {
            (program.map { "\($0) " } ?? "") + "\(port)/\(transport.rawValue)"
        }
    }

    /// A listener that the plan blocks, at least for some.
    package struct CutOff: Equatable, Sendable {
        /// The listener.
        package let listener: Listener
        /// The addresses, networks and interfaces that can still reach it.
        package let remaining: [String]
    }

    /// A peer that is connected now and cannot connect again.
    package struct Peer: Equatable, Sendable {
        /// The listener.
        package let listener: Listener
        /// The peer's address.
        package let address: IPAddress
    }

    /// A port that another program forwards, so that its packets bypass INPUT.
    package struct Published: Equatable, Sendable {
        /// The port and its destination.
        package let port: PublishedPort
        /// The name of the container, where it is known.
        package let container: String?
        /// Who can reach it.
        package let reach: Plan.PublishedReach
        /// Whether the answers decide about it.
        package let isLimited: Bool
    }

    /// Listeners that will be blocked, except for the remaining sources.
    package let cutOff: [CutOff]
    /// Peers that cannot connect again.
    package let peers: [Peer]
    /// The published ports.
    package let published: [Published]
}

extension Plan {
    /// What the plan changes for the programs that run now.
    ///
    /// - Parameters:
    ///   - listeners: the listeners that other machines can reach now.
    ///   - published: the ports whose packets bypass INPUT.
    ///   - container: the name of the container that publishes a port.
    /// - Returns: in the order of the listeners.
    package func effects(
        on listeners: [PlanEffects.Listener], published: [PublishedPort],
        container: (PublishedPort) -> String? = { _ in nil }
    ) -> PlanEffects {
        // Docker's proxy listens on published ports too, but packets from outside do not get there.
        let listeners = listeners.filter { listener in
            !published.contains { !$0.isLocalOnly && $0.covers(listener.port, listener.transport) }
        }
        let cutOff = listeners.compactMap { listener -> PlanEffects.CutOff? in
            let isOpenToAll = permissions.contains { permission in
                permission.source == .everyone && permission.opens(listener.transport, listener.port)
            }
            guard !isOpenToAll else { return nil }
            let limits = permissions.filter { $0.opens(listener.transport, listener.port) }.compactMap(\.limits)
            return PlanEffects.CutOff(
                listener: listener, remaining: sources([answers.admins] + limits) { isOpen($0) })
        }
        let peers = listeners.flatMap { listener in
            listener.peers.filter { !accepts(from: $0, transport: listener.transport, port: listener.port) }.map {
                PlanEffects.Peer(listener: listener, address: $0)
            }
        }
        return PlanEffects(
            cutOff: cutOff, peers: peers,
            published: published.map { port in
                PlanEffects.Published(
                    port: port, container: container(port), reach: reach(of: port), isLimited: limitsPublishedPorts)
            })
    }
}

extension Permission {
    /// Whether it covers new connections to that port.
    fileprivate func opens(_ transport: TransportProtocol, _ port: UInt16) -> Bool {
        if case .ports(let spec) = opening { spec.transport == transport && spec.range.contains(port) } else { false }
    }
}

extension PlanEffects {
    /// The effects in sentences, blocked listeners first.
    package var sentences: [String] { cutOffSentences + peerSentences + publishedSentences }

    private var cutOffSentences: [String] {
        cutOff.map { item in
            let rest = item.remaining.isEmpty ? "" : " but \(item.remaining.joined(separator: ", "))"
            return "\(item.listener.title) is reachable now and will be blocked for everyone\(rest)."
        }
    }

    private var peerSentences: [String] {
        peers.map { "\($0.address) is connected to \($0.listener.title) now and cannot connect again." }
    }

    /// The sentences about published ports.
    package var publishedSentences: [String] { published.map(\.sentence) }
}

extension PlanEffects.Published {
    /// `8080/tcp (container web)`, with the address that it is published on.
    package var title: String {
        "\(port.ports)" + (port.address.map { " on \($0)" } ?? "")
            + (container.map { " (container \($0.shownSafely))" } ?? "")
    }

    /// Who can reach it, in words: `open to everyone, as Docker has it`.
    package var reachText: String {
        switch reach {
        case .thisMachine: "only this machine can reach it"
        case .everyone: isLimited ? "open to everyone, as your answers say" : "open to everyone, as Docker has it"
        case .only(let sources):
            sources.isEmpty
                ? "your answers block it"
                : "your answers allow only \(sources.joined(separator: ", "))"
        }
    }

    /// The port, where its packets go, and who can reach it.
    fileprivate var sentence: String {
        let goes = isLimited || reach == .thisMachine ? "goes to" : "bypasses these rules and goes to"
        let publisher = container == nil ? "published by another program (Docker?), " : ""
        return "\(title) \(goes) \(port.destination): \(publisher)\(reachText)."
    }
}

extension String {
    /// Without characters that a terminal would interpret.
    fileprivate var shownSafely: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? "?" : $0 }))
    }
}
