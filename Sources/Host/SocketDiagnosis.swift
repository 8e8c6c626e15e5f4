import CLinux
import Glibc
import Netfilter

/// Asks the kernel for sockets by sock_diag(7).
///
/// Unlike procfs, which walks through its whole table of connections twice for each file, the kernel lists only the
/// states in question, and for listeners it does not look at that table at all.
enum SocketDiagnosis {
    /// The sockets of one transport protocol and family in the network namespace of the calling thread.
    ///
    /// - Parameters:
    ///   - transport: The protocol.
    ///   - family: The family of the sockets; one of IPv6 may serve IPv4 too.
    ///   - states: The states in question.
    /// - Returns: `nil` if the kernel cannot list them.
    static func rows(_ transport: TransportProtocol, _ family: Family, _ states: Set<SocketState>) -> [SocketRow]? {
        let bits = states.reduce(UInt32(0)) { $0 | 1 << UInt32($1.rawValue) }
        let body: [UInt8] =
            [UInt8(family == .ipv4 ? AF_INET : AF_INET6), UInt8(number(transport)), 0, 0]
            + withUnsafeBytes(of: bits) { Array($0) }
            + [UInt8](repeating: 0, count: MemoryLayout<inet_diag_sockid>.size)
        let request = NetlinkMessage(
            type: UInt16(SOCK_DIAG_BY_FAMILY), flags: UInt16(NLM_F_REQUEST | NLM_F_DUMP),
            sequence: NetlinkSocket.listing, body: body)
        var rows: [SocketRow] = []
        do throws(HostError) {
            let socket = try NetlinkSocket(NETLINK_SOCK_DIAG, name: "sock_diag")
            try socket.list(request, of: transport.rawValue, to: "list sockets") { message in
                if let row = SocketRow(message: message, transport: transport) { rows.append(row) }
            }
        } catch { return nil }
        return rows
    }

    private static func number(_ transport: TransportProtocol) -> Int {
        switch transport {
        case .tcp: IPPROTO_TCP
        case .udp: IPPROTO_UDP
        }
    }
}

extension SocketRow {
    /// Reads `struct inet_diag_msg` of linux/inet_diag.h; `nil` if it is truncated or unknown.
    init?(message: ArraySlice<UInt8>, transport: TransportProtocol) {
        guard message.count >= MemoryLayout<inet_diag_msg>.size else { return nil }
        let data = message.withUnsafeBytes { $0.loadUnaligned(as: inet_diag_msg.self) }
        let size = Int32(data.idiag_family) == AF_INET ? 4 : 16
        func endpoint(_ address: some Any, _ port: UInt16) -> Endpoint? {
            let bytes = withUnsafeBytes(of: address) { Array($0.prefix(size)) }
            return IPAddress(hostBytes: bytes).map { Endpoint(address: $0, port: UInt16(bigEndian: port)) }
        }
        guard let state = SocketState(rawValue: data.idiag_state),
            let local = endpoint(data.id.idiag_src, data.id.idiag_sport),
            let remote = endpoint(data.id.idiag_dst, data.id.idiag_dport)
        else { return nil }
        // For a listener, the kernel reports here how many connections may wait.
        self.init(
            transport: transport, local: local, remote: remote, state: state,
            transmitQueue: state == .listen ? 0 : data.idiag_wqueue,
            receiveQueue: data.idiag_rqueue, user: data.idiag_uid, inode: UInt64(data.idiag_inode))
    }
}
