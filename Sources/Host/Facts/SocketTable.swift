import Netfilter

/// The state of a socket, as the kernel numbers them (include/net/tcp_states.h).
package enum SocketState: UInt8, CaseIterable, Sendable {
    case established = 1
    case synSent, synReceived, finWait1, finWait2, timeWait
    /// Closed; for UDP: not connected, so that any host can send to it.
    case close
    case closeWait, lastAck, listen, closing, newSynReceived
}

/// One socket of `/proc/net/tcp` and similar files.
package struct SocketRow: Hashable, Sendable {
    package let transport: TransportProtocol
    package let local: Endpoint
    package let remote: Endpoint
    package let state: SocketState
    /// Bytes not yet sent or acknowledged.
    package let transmitQueue: UInt32
    /// Bytes not yet read; for a listener: connections not yet accepted.
    package let receiveQueue: UInt32
    package let user: UInt32
    /// The socket's inode, 0 if no process holds it any more.
    package let inode: UInt64

    /// Whether it listens: a TCP listener, or a UDP socket that is not connected.
    package var isListening: Bool {
        switch transport {
        case .tcp: state == .listen
        case .udp: state == .close && remote.address.isUnspecified && remote.port == 0 && local.port != 0
        }
    }

    init(
        transport: TransportProtocol, local: Endpoint, remote: Endpoint, state: SocketState, transmitQueue: UInt32,
        receiveQueue: UInt32, user: UInt32, inode: UInt64
    ) {
        self.transport = transport
        self.local = local
        self.remote = remote
        self.state = state
        self.transmitQueue = transmitQueue
        self.receiveQueue = receiveQueue
        self.user = user
        self.inode = inode
    }

    /// Reads one row; `nil` for the header and for a truncated row.
    init?(_ line: Substring, transport: TransportProtocol) {
        let fields = line.split(separator: " ", maxSplits: 10, omittingEmptySubsequences: true)
        guard fields.count >= 10, fields[0].hasSuffix(":"), let local = Self.endpoint(fields[1]),
            let remote = Self.endpoint(fields[2]),
            let state = UInt8(fields[3], radix: 16).flatMap(SocketState.init(rawValue:)),
            let user = UInt32(fields[7]), let inode = UInt64(fields[9])
        else { return nil }
        let queues = fields[4].split(separator: ":")
        guard queues.count == 2, let sending = UInt32(queues[0], radix: 16),
            let receiving = UInt32(queues[1], radix: 16)
        else { return nil }
        self.init(
            transport: transport, local: local, remote: remote, state: state, transmitQueue: sending,
            receiveQueue: receiving, user: user, inode: inode)
    }

    /// Reads `0100007F:0016`: the address as words in the machine's own byte order, and the port as a number.
    private static func endpoint(_ text: Substring) -> Endpoint? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1], radix: 16), parts[0].utf8.count % 8 == 0 else { return nil }
        var bytes: [UInt8] = []
        var rest = parts[0]
        while !rest.isEmpty {
            guard let word = UInt32(rest.prefix(8), radix: 16) else { return nil }
            withUnsafeBytes(of: word) { bytes += $0 }
            rest = rest.dropFirst(8)
        }
        return IPAddress(hostBytes: bytes).map { Endpoint(address: $0, port: port) }
    }
}

/// The TCP and UDP sockets of one network namespace, both families, at one moment.
package struct SocketTable: Sendable {
    package let rows: [SocketRow]
    /// The tables that could not be read; `tcp6` and `udp6` are missing where the kernel has no IPv6.
    package let unreadable: Set<String>

    /// Reads the tables.
    ///
    /// - Parameters:
    ///   - source: Where procfs is.
    ///   - pid: A process of the namespace; without it, this program's own namespace.
    ///   - transports: Which tables to read.
    ///   - states: The states in question; the connections of a busy server are many.
    package init(
        _ source: FactSource = FactSource(), ofNamespaceOf pid: Int32? = nil,
        transports: [TransportProtocol] = TransportProtocol.allCases,
        states: Set<SocketState> = Set(SocketState.allCases)
    ) {
        let folder = pid.map { "\($0)/net" } ?? "net"
        var rows: [SocketRow] = []
        var unreadable: Set<String> = []
        for transport in transports {
            for (name, family) in [(transport.rawValue, Family.ipv4), (transport.rawValue + "6", .ipv6)] {
                if pid == nil, source.isLive, let found = SocketDiagnosis.rows(transport, family, states) {
                    rows += found
                } else if let lines = source.procLines("\(folder)/\(name)") {
                    rows += lines.compactMap { SocketRow($0, transport: transport) }.filter {
                        states.contains($0.state)
                    }
                } else {
                    unreadable.insert(name)
                }
            }
        }
        self.rows = rows
        self.unreadable = unreadable
    }

    /// The sockets that listen; see `SocketRow.isListening`.
    package static func listening(
        _ source: FactSource = FactSource(), transports: [TransportProtocol] = TransportProtocol.allCases
    ) -> SocketTable {
        SocketTable(source, transports: transports, states: [.listen, .close])
    }

    /// The TCP connections in the state ESTABLISHED, by inode.
    package var establishedByInode: [UInt64: SocketRow] {
        let rows = rows.filter { $0.transport == .tcp && $0.state == .established && $0.inode != 0 }
        return Dictionary(rows.map { ($0.inode, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Whether no TCP connection to a port waits to be accepted or is half open.
    ///
    /// Such a connection began under the previous rules and would look new once it is accepted. The listener's
    /// rx_queue is its accept queue; a half-open connection has its own row (SYN_RECV).
    ///
    /// - Returns: `nil` if no listener on that port is visible, so that nothing is known.
    package func listenerBacklogEmpty(port: UInt16) -> Bool? {
        let here = rows.filter { $0.transport == .tcp && $0.local.port == port }
        let listeners = here.filter { $0.state == .listen }
        guard !listeners.isEmpty else { return nil }
        return listeners.allSatisfy { $0.receiveQueue == 0 }
            && !here.contains { $0.state == .synReceived || $0.state == .newSynReceived }
    }

    /// The addresses of other machines that are connected to a TCP port now, sorted.
    package func peers(ofPort port: UInt16) -> [IPAddress] {
        let connected = rows.filter { $0.transport == .tcp && $0.state == .established && $0.local.port == port }
        return Set(connected.filter { !isOwn($0) }.map(\.remote.address)).sorted()
    }

    /// Whether both ends of a connection are in this table, so that it is local.
    package func isOwn(_ row: SocketRow) -> Bool {
        row.remote.address.isLoopback || row.remote.address == row.local.address
            || rows.contains {
                $0.transport == row.transport && $0.local == row.remote && $0.remote == row.local
                    && $0.inode != row.inode
            }
    }
}
