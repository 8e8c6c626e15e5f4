import CLinux
import Glibc

/// A socket to a part of the kernel, in the network of the calling thread (netlink(7)).
///
/// The kernel does what a message asks before send(2) returns, so an answer never takes long. One socket serves one
/// transaction or listing: then no late answer can belong to another.
final class NetlinkSocket {
    /// The name of the kernel's part in errors.
    private let name: String
    private let descriptor: Int32

    /// How long it waits for an answer, in seconds.
    private static let patience = 2
    /// The kernel sends at most 16 KiB of a listing at once to a buffer of this size (netlink_dump of its af_netlink.c).
    private static let datagramSize = 32_768
    /// The number of a listing's only request.
    static let listing: UInt32 = 1

    /// Opens the socket.
    ///
    /// - Parameters:
    ///   - part: NETLINK_ of linux/netlink.h.
    ///   - name: the name of that part of the kernel in errors.
    /// - Throws: `file` if the kernel refuses.
    init(_ part: Int32, name: String) throws(HostError) {
        self.name = name
        descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | O_CLOEXEC, part)
        guard descriptor >= 0 else { throw .file(path: name, operation: "create a socket", errno: errno) }
        var limit = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Sends to the kernel, which is where a netlink socket sends without an address.
    func send(_ bytes: [UInt8], to operation: String) throws(HostError) {
        while Glibc.send(descriptor, bytes, bytes.count, 0) != bytes.count {
            guard errno == EINTR else { throw .file(path: name, operation: operation, errno: errno) }
        }
    }

    /// Waits for the messages of the next datagram.
    func receive(to operation: String) throws(HostError) -> [NetlinkMessage] {
        var buffer = [UInt8](repeating: 0, count: Self.datagramSize)
        while true {
            // With MSG_TRUNC the length is that of the whole datagram (recv(2)).
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_TRUNC))
            if count >= 0, count <= buffer.count { return NetlinkMessage.messages(in: buffer[..<count]) }
            guard count < 0, errno == EINTR else {
                let code = count > 0 ? EMSGSIZE : errno == EAGAIN ? ETIMEDOUT : errno
                throw .file(path: name, operation: operation, errno: code)
            }
        }
    }

    /// Asks for a listing.
    ///
    /// - Parameters:
    ///   - request: the message that asks, with the number `listing`.
    ///   - subject: what is to be listed, for the error.
    ///   - operation: what it does, for the error.
    ///   - read: takes the body of each message.
    /// - Throws: `file` if the kernel refuses, or if it says that the list changed meanwhile.
    func list(
        _ request: NetlinkMessage, of subject: String, to operation: String, _ read: (ArraySlice<UInt8>) -> Void
    ) throws(HostError) {
        try send(request.bytes, to: operation)
        while true {
            for answer in try receive(to: operation) where answer.sequence == Self.listing {
                if answer.flags & UInt16(NLM_F_DUMP_INTR) != 0 {
                    throw .file(path: subject, operation: operation, errno: EINTR)
                }
                switch Int32(answer.type) {
                case NLMSG_ERROR, NLMSG_DONE:
                    let code = answer.errorNumber
                    if code != 0 { throw .file(path: subject, operation: operation, errno: code) }
                    return
                default:
                    read(answer.body[...])
                }
            }
        }
    }
}
