import Glibc
import Netfilter

/// A probe that has been sent and waits for its answer.
struct Attempt {
    let socket: AgentSocket
    private let probe: Probe
    private let identifier: UInt16

    /// The start of an attempt: already finished, or waiting.
    enum Beginning {
        case over(AgentAnswer)
        case waiting(Attempt)
    }

    /// Sends the probe.
    ///
    /// - Parameters:
    ///   - probe: what to send.
    ///   - identifier: distinguishes a ping's reply from those of others.
    ///   - held: the connection that a probe of the kind `established` uses.
    /// - Returns: the answer if there is one already, else the attempt that waits for it.
    static func begin(_ probe: Probe, identifier: UInt16, held: AgentSocket? = nil) -> Beginning {
        do {
            let attempt = Attempt(socket: try held ?? open(probe), probe: probe, identifier: identifier)
            return try attempt.send() ?? .waiting(attempt)
        } catch let failure as SocketFailure {
            return .over(AgentAnswer(outcome: .unsent, detail: failure.text))
        } catch {
            return .over(AgentAnswer(outcome: .unsent, detail: "\(error)"))
        }
    }

    var descriptor: Int32 { socket.descriptor }

    /// The events that poll(2) has to wait for.
    var events: Int16 { Int16(probe.kind == .tcp ? POLLOUT : POLLIN) }

    /// The answer, now that the descriptor is ready; nil if it was not for this probe.
    func answer() -> AgentAnswer? {
        switch probe.kind {
        case .tcp:
            let error = socket.pendingError()
            socket.resetOnClose()
            return error == 0 ? AgentAnswer(outcome: .accepted) : Self.refusal(error)
        case .udp:
            var buffer = [UInt8](repeating: 0, count: 512)
            if recv(descriptor, &buffer, buffer.count, 0) >= 0 { return AgentAnswer(outcome: .accepted) }
            return errno == EAGAIN ? nil : Self.refusal(errno)
        case .established:
            var buffer = [UInt8](repeating: 0, count: 512)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 { return AgentAnswer(outcome: .accepted) }
            return count < 0 && errno == EAGAIN ? nil : Self.refusal(count == 0 ? ECONNRESET : errno)
        case .ping, .strayError, .tooBig, .neighbour, .message:
            var buffer = [UInt8](repeating: 0, count: 2048)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            let isAnswer =
                probe.kind == .neighbour
                ? Packets.isNeighbourAdvertisement(buffer[..<count], of: probe.target)
                : Packets.isEchoReply(buffer[..<count], probe.family, identifier: identifier)
            return isAnswer ? AgentAnswer(outcome: .accepted) : nil
        }
    }

    // MARK: - Sending

    private static func open(_ probe: Probe) throws -> AgentSocket {
        let type: Int32
        var transport: Int32 = 0
        switch probe.kind {
        case .tcp, .established: type = Int32(SOCK_STREAM.rawValue)
        case .udp: type = Int32(SOCK_DGRAM.rawValue)
        case .ping, .strayError, .tooBig, .neighbour, .message:
            type = Int32(SOCK_RAW.rawValue)
            transport = Int32(probe.family == .ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)
        }
        let isRaw = type == Int32(SOCK_RAW.rawValue)
        let socket = try AgentSocket(
            probe.family, type: type, transport: transport, boundTo: probe.source,
            port: isRaw ? 0 : probe.sourcePort ?? 0)
        // RFC 4861 section 7.1.1: a message with any other hop limit has passed a router, and is ignored.
        if probe.kind == .neighbour || probe.kind == .message {
            socket.set(Int32(IPPROTO_IPV6), IPV6_UNICAST_HOPS, Int32(255))
        }
        return socket
    }

    /// Connects and sends; nil while waiting for the answer.
    private func send() throws -> Beginning? {
        if probe.kind == .established { return try transmit(Array("latchkey".utf8)) }
        let target = SocketAddress(probe.target, port: probe.kind == .tcp || probe.kind == .udp ? probe.port : 0)
        if target.pass({ connect(descriptor, $0, $1) }) != 0 {
            if errno == EINPROGRESS { return nil }
            return .over(Self.refusal(errno))
        }
        let message: [UInt8]
        switch probe.kind {
        case .tcp, .established: return nil
        case .udp: message = Array("latchkey".utf8)
        case .ping: message = Packets.echoRequest(probe.family, identifier: identifier)
        case .strayError: message = Packets.portUnreachable(probe)
        case .tooBig: message = Packets.tooBig(probe)
        case .message: message = Packets.message(type: UInt8(truncatingIfNeeded: probe.port), probe)
        case .neighbour: message = Packets.neighbourSolicitation(probe.target)
        }
        return try transmit(message)
    }

    private func transmit(_ message: [UInt8]) throws -> Beginning? {
        guard Glibc.send(descriptor, message, message.count, 0) == message.count else {
            throw SocketFailure(call: "send", errno: errno)
        }
        return [.strayError, .tooBig, .message].contains(probe.kind) ? .over(AgentAnswer(outcome: .sent)) : nil
    }

    /// An error that a packet reported is a refusal; a local error means that nothing was sent.
    private static func refusal(_ error: Int32) -> AgentAnswer {
        let brought = [ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, EACCES, EPROTO].contains(error)
        if error == ETIMEDOUT { return AgentAnswer(outcome: .silent) }
        return AgentAnswer(outcome: brought ? .refused : .unsent, detail: String(cString: strerror(error)))
    }
}
