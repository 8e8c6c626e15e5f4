import Glibc
import Netfilter

/// The sockets on which an agent accepts connections and echoes datagrams.
struct ProbeListeners {
    private var tcp: [Int32: AgentSocket] = [:]
    private var udp: [Int32: AgentSocket] = [:]
    /// The accepted connections; their input is sent back.
    private var connections: Set<Int32> = []

    var descriptors: [Int32] { Array(tcp.keys) + Array(udp.keys) + Array(connections) }

    /// Listens on each address separately: an echo then leaves from the address that was contacted.
    /// - Throws: `SocketFailure` for the first port that is not available.
    mutating func open(_ addresses: [IPAddress], tcp tcpPorts: [UInt16], udp udpPorts: [UInt16]) throws {
        for address in addresses {
            for port in tcpPorts {
                let socket = try AgentSocket(
                    address.family, type: Int32(SOCK_STREAM.rawValue), boundTo: address, port: port)
                try socket.check("listen") { listen(socket.descriptor, SOMAXCONN) }
                tcp[socket.descriptor] = socket
            }
            for port in udpPorts {
                let socket = try AgentSocket(
                    address.family, type: Int32(SOCK_DGRAM.rawValue), boundTo: address, port: port)
                udp[socket.descriptor] = socket
            }
        }
    }

    /// Closes everything.
    mutating func close() {
        connections.forEach { Glibc.close($0) }
        self = ProbeListeners()
    }

    private mutating func echo(_ connection: Int32) {
        var buffer = [UInt8](repeating: 0, count: 512)
        let count = recv(connection, &buffer, buffer.count, 0)
        if count > 0 {
            _ = send(connection, buffer, count, Int32(MSG_NOSIGNAL))
        } else if count == 0 || errno != EAGAIN {
            Glibc.close(connection)
            connections.remove(connection)
        }
    }

    /// Serves a ready descriptor; returns false if it does not belong to these sockets.
    mutating func serve(_ descriptor: Int32) -> Bool {
        if tcp[descriptor] != nil {
            while case let connection = accept(descriptor, nil, nil), connection >= 0 {
                _ = fcntl(connection, F_SETFL, O_NONBLOCK)
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                connections.insert(connection)
            }
            return true
        }
        if connections.contains(descriptor) {
            echo(descriptor)
            return true
        }
        guard udp[descriptor] != nil else { return false }
        var buffer = [UInt8](repeating: 0, count: 512)
        var peer = sockaddr_storage()
        while true {
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let capacity = buffer.count
            let count = withUnsafeMutablePointer(to: &peer) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, &buffer, capacity, 0, $0, &length)
                }
            }
            guard count >= 0 else { return true }
            _ = withUnsafePointer(to: peer) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(descriptor, buffer, count, 0, $0, length)
                }
            }
        }
    }
}
