import Netfilter
import Policy

/// One expectation, and what the kernel made of it.
package struct Verdict: Sendable, Equatable {
    /// What was seen.
    package enum Observation: Sendable, Equatable {
        /// It got through.
        case accepted
        /// It did not, though without the rules it did.
        case dropped
        /// It does not get through without the rules either, so that nothing can be told; says what happened.
        case untested(String)
    }

    /// What was tried, and what the answers promise.
    package let expectation: Expectation
    /// What was seen.
    package let observation: Observation
    /// The rule or the policy that decided, by the kernel's counters; nil where several may have.
    package var decision: CounterDifference.Decision?

    /// Whether it fared as promised; what could not be tried breaks no promise, unless somebody's way in hangs on it.
    package var isAsPromised: Bool {
        switch observation {
        case .accepted: expectation.isAccepted
        case .dropped: !expectation.isAccepted
        case .untested: !expectation.isNeeded
        }
    }

    /// A verdict of these parts.
    package init(_ expectation: Expectation, _ observation: Observation, decision: CounterDifference.Decision? = nil) {
        self.expectation = expectation
        self.observation = observation
        self.decision = decision
    }
}

extension Expectation {
    /// Whether a rehearsal that could not try it is none: the present connection, the admins, SSH.
    fileprivate var isNeeded: Bool {
        (role == .you || role == .admin || answer == .ssh) && isThrough(.silent) != nil
    }

    /// The port of the server from which it asks where its own flow has to be known again.
    static let flowPort: UInt16 = 40999
    /// A port on which nobody listens outside.
    static let deafPort: UInt16 = 9

    /// Where its packets are sent from.
    var place: Stage.Place { role == .server && packet != .packetTooBig ? .server : .outside }

    /// The packets that try it.
    var probe: Probe {
        switch packet {
        case .tcp(let port):
            Probe(.tcp, from: source, to: target, port: port, sourcePort: sourcePort)
        case .udp(let port):
            Probe(.udp, from: source, to: target, port: port, sourcePort: sourcePort)
        case .established(let port): Probe(.established, from: source, to: target, port: port)
        case .ping: Probe(.ping, from: source, to: target)
        case .message(let type): Probe(.message, from: source, to: target, port: UInt16(type), sourcePort: 53)
        case .neighbour: Probe(.neighbour, from: source, to: target)
        case .strayError: Probe(.strayError, from: source, to: target, port: 40998, sourcePort: 53)
        case .relatedError: Probe(.udp, from: source, to: target, port: Self.deafPort)
        // Sent by the one whom the server has asked.
        case .packetTooBig: Probe(.tooBig, from: target, to: source, port: Self.flowPort, sourcePort: 53)
        }
    }

    /// Whether the outcome means that it got through; nil where an outcome says nothing about it.
    func isThrough(_ outcome: ProbeOutcome) -> Bool? {
        switch packet {
        case .strayError, .packetTooBig, .message: nil
        case .relatedError: outcome == .refused
        case .tcp, .udp, .ping, .established, .neighbour: outcome == .accepted
        }
    }

    /// The type of ICMPv6 that has to come in: of neighbours, the question (135) or the answer to the server's own
    /// (136).
    var icmpv6: UInt8? {
        switch packet {
        case .neighbour: direction == .in ? 135 : 136
        case .message(let type): type
        case .tcp, .udp, .ping, .established, .strayError, .relatedError, .packetTooBig: nil
        }
    }
}
