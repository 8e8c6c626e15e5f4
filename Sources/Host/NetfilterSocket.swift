import CLinux
import Glibc

/// One request to nftables in the kernel.
struct NetfilterRequest {
    /// What it is about, for an error: `set inet latchkey trial`.
    let subject: String
    /// What it asks for.
    let type: nf_tables_msg_types
    /// The family of the table: NFPROTO_ of linux/netfilter.h.
    let family: UInt8
    /// NLM_F_ of linux/netlink.h besides NLM_F_REQUEST.
    var flags: Int32 = 0
    /// Its attributes.
    let attributes: [UInt8]

    fileprivate func message(sequence: Int, flags more: Int32) -> NetlinkMessage {
        // The high byte names nftables (NFNL_SUBSYS_ID of linux/netfilter/nfnetlink.h).
        NetlinkMessage(
            type: UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(type.rawValue),
            flags: UInt16(NLM_F_REQUEST | flags | more), sequence: UInt32(sequence),
            body: [family, UInt8(NFNETLINK_V0), 0, 0] + attributes)
    }
}

/// A socket to netfilter in the kernel, in the network of the calling thread (netlink(7), NETLINK_NETFILTER).
///
/// Closing it waits some milliseconds, until the kernel has freed what the transaction removed; the change is in effect
/// before that.
struct NetfilterSocket {
    private let socket: NetlinkSocket

    /// The name of what failed if no request can be blamed.
    private static let name = "nftables"

    /// Opens the socket.
    ///
    /// - Throws: `file` if the kernel refuses.
    init() throws(HostError) { socket = try NetlinkSocket(NETLINK_NETFILTER, name: Self.name) }

    /// Makes changes in one transaction: all of them, or none.
    ///
    /// - Parameters:
    ///   - requests: the changes.
    ///   - operation: what they do, for the error.
    /// - Throws: `file` with the first request that the kernel refused.
    func commit(_ requests: [NetfilterRequest], to operation: String) throws(HostError) {
        var bytes = Self.limit(NFNL_MSG_BATCH_BEGIN, sequence: 0)
        for (index, request) in requests.enumerated() {
            bytes += request.message(sequence: index + 1, flags: NLM_F_ACK).bytes
        }
        try socket.send(bytes + Self.limit(NFNL_MSG_BATCH_END, sequence: requests.count + 1), to: operation)
        // Each request is acknowledged, also those beside a refused one, which did not take effect either. An error
        // of the whole batch names its beginning and comes first (nfnetlink_rcv_batch of the kernel's nfnetlink.c).
        var awaited = Set(requests.indices)
        while !awaited.isEmpty {
            for answer in try socket.receive(to: operation) where answer.type == UInt16(NLMSG_ERROR) {
                let code = answer.errorNumber
                guard answer.sequence > 0 else {
                    if code != 0 { throw .file(path: Self.name, operation: operation, errno: code) }
                    continue
                }
                guard awaited.remove(Int(answer.sequence) - 1) != nil, code != 0 else { continue }
                throw .file(path: requests[Int(answer.sequence) - 1].subject, operation: operation, errno: code)
            }
        }
    }

    /// Asks for a listing.
    ///
    /// - Parameters:
    ///   - request: what is to be listed.
    ///   - operation: what it does, for the error.
    ///   - read: takes the attributes of each message.
    /// - Throws: `file` if the kernel refuses, or if the rules changed while it was listing.
    func list(
        _ request: NetfilterRequest, to operation: String, _ read: (ArraySlice<UInt8>) -> Void
    ) throws(HostError) {
        let message = request.message(sequence: Int(NetlinkSocket.listing), flags: NLM_F_DUMP)
        try socket.list(message, of: request.subject, to: operation) {
            // `struct nfgenmsg` of linux/netfilter/nfnetlink.h comes first.
            read($0.dropFirst(MemoryLayout<nfgenmsg>.size))
        }
    }

    // MARK: - Bytes

    /// The first or last message of a transaction; its resource names nftables, in network order.
    private static func limit(_ type: Int32, sequence: Int) -> [UInt8] {
        NetlinkMessage(
            type: UInt16(type), flags: UInt16(NLM_F_REQUEST), sequence: UInt32(sequence),
            body: [UInt8(AF_UNSPEC), UInt8(NFNETLINK_V0), 0, UInt8(NFNL_SUBSYS_NFTABLES)]
        ).bytes
    }
}
