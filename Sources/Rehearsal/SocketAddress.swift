import Glibc
import Netfilter

/// An address and a port in the form that socket calls use.
struct SocketAddress {
    private var storage = sockaddr_storage()
    private let length: socklen_t

    init(_ address: IPAddress, port: UInt16) {
        switch address.family {
        case .ipv4:
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutableBytes(of: &storage) { bytes in
                bytes.withMemoryRebound(to: sockaddr_in.self) { $0[0].sin_family = sa_family_t(AF_INET) }
                bytes.withMemoryRebound(to: sockaddr_in.self) { $0[0].sin_port = port.bigEndian }
                // sin_addr follows family and port.
                bytes[4..<8].copyBytes(from: address.bytes)
            }
        case .ipv6:
            length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            withUnsafeMutableBytes(of: &storage) { bytes in
                bytes.withMemoryRebound(to: sockaddr_in6.self) { $0[0].sin6_family = sa_family_t(AF_INET6) }
                bytes.withMemoryRebound(to: sockaddr_in6.self) { $0[0].sin6_port = port.bigEndian }
                // sin6_addr follows family, port and flow information.
                bytes[8..<24].copyBytes(from: address.bytes)
            }
        }
    }

    /// Passes the address to a socket call.
    func pass<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}

/// A socket of the agent, closed with its owner.
final class AgentSocket {
    let descriptor: Int32

    /// A non-blocking socket, bound to an address.
    /// - Throws: `SocketFailure` with the call that failed.
    init(_ family: Family, type: Int32, transport: Int32 = 0, boundTo address: IPAddress, port: UInt16) throws {
        let domain = family == .ipv4 ? AF_INET : AF_INET6
        descriptor = socket(domain, type | Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), transport)
        guard descriptor >= 0 else { throw SocketFailure(call: "socket", errno: errno) }
        // An earlier probe from the same port may still be in TIME_WAIT.
        set(SOL_SOCKET, SO_REUSEADDR, Int32(1))
        if family == .ipv6 { set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, Int32(1)) }
        try check("bind") { SocketAddress(address, port: port).pass { bind(descriptor, $0, $1) } }
    }

    func set<Value>(_ level: Int32, _ option: Int32, _ value: Value) {
        withUnsafePointer(to: value) { pointer in
            _ = setsockopt(descriptor, level, option, pointer, socklen_t(MemoryLayout<Value>.size))
        }
    }

    func check(_ name: String, _ call: () -> Int32) throws {
        guard call() == 0 else { throw SocketFailure(call: name, errno: errno) }
    }

    /// The pending error of the socket (SO_ERROR), or 0; reading it clears it.
    func pendingError() -> Int32 {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
        return error
    }

    /// Closes a TCP connection with a reset: nothing remains in TIME_WAIT, here or in conntrack.
    func resetOnClose() {
        set(SOL_SOCKET, SO_LINGER, linger(l_onoff: 1, l_linger: 0))
    }

    deinit { close(descriptor) }
}

/// A socket call that failed.
struct SocketFailure: Error {
    let call: String
    let errno: Int32

    var text: String { "\(call): \(String(cString: strerror(errno)))" }
}
