import Netfilter
import Policy

/// One expectation, and what happened to its packet.
package struct Verdict: Sendable, Equatable {
    /// The observation.
    package enum Observation: Sendable, Equatable {
        /// It was accepted.
        case accepted
        /// It was not accepted, although it was accepted without the rules.
        case dropped
        /// It does not arrive without the rules either, so that nothing is known; with what happened instead.
        case untested(String)
    }

    /// What was tested, and what the answers promise.
    package let expectation: Expectation
    /// The observation.
    package let observation: Observation
    /// The rule or the policy that decided, according to the kernel's counters; nil if several may have.
    package var decision: CounterDifference.Decision?

    /// Whether it was as promised; an untested packet breaks no promise, unless somebody's access depends on it.
    package var isAsPromised: Bool {
        switch observation {
        case .accepted: expectation.isAccepted
        case .dropped: !expectation.isAccepted
        case .untested: !expectation.isNeeded
        }
    }

    /// A verdict with these parts.
    package init(_ expectation: Expectation, _ observation: Observation, decision: CounterDifference.Decision? = nil) {
        self.expectation = expectation
        self.observation = observation
        self.decision = decision
    }
}

extension Expectation {
    /// Whether a rehearsal is worthless without this test: the present connection, the admins, SSH.
    fileprivate var isNeeded: Bool {
        (role == .you || role == .admin || answer == .ssh) && container == nil && isThrough(.silent) != nil
    }

    /// The source port of the server for tests in which its own flow must be recognized.
    static let flowPort: UInt16 = 40999
    /// A port without a listener outside.
    static let deafPort: UInt16 = 9

    /// The place that sends its packets.
    var place: Stage.Place {
        guard role == .server, packet != .packetTooBig else { return .outside }
        return container == nil ? .server : .containers
    }

    /// The packets that test whether it can arrive at all, without rules: those to a published port go to the container.
    var directProbe: Probe {
        var direct = probe
        if direction == .in, let container {
            direct.target = container.address
            direct.port = container.port ?? probe.port
        }
        return direct
    }

    /// The packets that test it.
    var probe: Probe {
        switch packet {
        case .several(let spec, _), .oneMore(let spec, _):
            Probe(spec.transport == .tcp ? .tcp : .udp, from: source, to: target, port: spec.range.lower)
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
        // Sent by the host that the server has contacted.
        case .packetTooBig: Probe(.tooBig, from: target, to: source, port: Self.flowPort, sourcePort: 53)
        }
    }

    /// Whether the outcome means that it was accepted; nil if an outcome does not show it.
    func isThrough(_ outcome: ProbeOutcome) -> Bool? {
        switch packet {
        case .strayError, .packetTooBig, .message: nil
        case .relatedError: outcome == .refused
        case .tcp, .udp, .ping, .established, .neighbour, .several, .oneMore: outcome == .accepted
        }
    }

    /// Whether it tests several packets together, which have to be sent at once.
    var isBurst: Bool {
        switch packet {
        case .several, .oneMore: true
        default: false
        }
    }

    /// Whether it can be tested only once: a second time, the kernel would still count the first one.
    package var isForOnce: Bool { isBurst || limit?.count == 1 }

    /// The ICMPv6 type that must come in: for neighbours, the solicitation (135) or the advertisement for the server's
    /// own solicitation (136).
    var icmpv6: UInt8? {
        switch packet {
        case .neighbour: direction == .in ? 135 : 136
        case .message(let type): type
        case .tcp, .udp, .ping, .established, .strayError, .relatedError, .packetTooBig, .several, .oneMore: nil
        }
    }
}
