import Netfilter
import Policy

/// What `plan --effects` reports with `--json`.
package struct EffectsReport: Report, Equatable {
    /// A listener that the plan blocks.
    package struct CutOff: Equatable, Codable, Sendable {
        /// The program, where it is known.
        package var program: String?
        /// `3000/tcp`.
        package var port: String
        /// The sources that can still reach it.
        package var remaining: [String]
    }

    /// A connected peer that the plan blocks from connecting again.
    package struct Peer: Equatable, Codable, Sendable {
        /// Its address.
        package var address: String
        /// The program, where it is known.
        package var program: String?
        /// `3000/tcp`.
        package var port: String
    }

    /// A port whose packets bypass INPUT.
    package struct Published: Equatable, Codable, Sendable {
        /// `8080/tcp`.
        package var port: String
        /// Where its packets go.
        package var destination: String
        /// The address that it is published on; nil for every address.
        package var address: String?
        /// The container, where it is known.
        package var container: String?
        /// Who can reach it: `everyone`, `this machine`, or addresses and networks.
        package var reach: [String]
    }

    /// Listeners that the plan blocks.
    package var cutOff: [CutOff]
    /// Peers that the plan blocks from connecting again.
    package var peers: [Peer]
    /// Ports whose packets bypass INPUT.
    package var published: [Published]

    /// The report of a plan's effects.
    init(_ effects: PlanEffects) {
        cutOff = effects.cutOff.map {
            CutOff(
                program: $0.listener.program, port: "\($0.listener.port)/\($0.listener.transport.rawValue)",
                remaining: $0.remaining)
        }
        peers = effects.peers.map {
            Peer(
                address: "\($0.address)", program: $0.listener.program,
                port: "\($0.listener.port)/\($0.listener.transport.rawValue)")
        }
        published = effects.published.map { item in
            Published(
                port: "\(item.port.ports)", destination: item.port.destination,
                address: item.port.address?.description, container: item.container, reach: item.reach.names)
        }
    }
}

extension Plan.PublishedReach {
    /// The sources in words.
    fileprivate var names: [String] {
        switch self {
        case .everyone: ["everyone"]
        case .thisMachine: ["this machine"]
        case .only(let sources): sources
        }
    }
}
