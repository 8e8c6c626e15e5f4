import Netfilter
import Policy

/// What `plan --effects` reports with `--json`.
package struct EffectsReport: Report, Equatable {
    /// A listener that will be cut off.
    package struct CutOff: Equatable, Codable, Sendable {
        /// The program, where it is known.
        package var program: String?
        /// `3000/tcp`.
        package var port: String
        /// Who still reaches it.
        package var remaining: [String]
    }

    /// Someone who could not connect again.
    package struct Peer: Equatable, Codable, Sendable {
        /// Who.
        package var address: String
        /// The program, where it is known.
        package var program: String?
        /// `3000/tcp`.
        package var port: String
    }

    /// A port that goes past INPUT.
    package struct Published: Equatable, Codable, Sendable {
        /// `8080/tcp`.
        package var port: String
        /// Where to.
        package var destination: String
    }

    /// Listeners that will be cut off.
    package var cutOff: [CutOff]
    /// Peers that could not connect again.
    package var peers: [Peer]
    /// Ports that go past INPUT.
    package var published: [Published]

    /// The report of a plan's effects.
    init(_ effects: PlanEffects) {
        cutOff = effects.cutOff.map {
            CutOff(
                program: $0.listener.program, port: "\($0.listener.port)/\($0.listener.transport.rawValue)",
                remaining: $0.remaining.map(\.description))
        }
        peers = effects.peers.map {
            Peer(
                address: "\($0.address)", program: $0.listener.program,
                port: "\($0.listener.port)/\($0.listener.transport.rawValue)")
        }
        published = effects.published.map { Published(port: "\($0.ports)", destination: $0.destination) }
    }
}
