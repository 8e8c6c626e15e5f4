import CLinux
import Glibc

/// The process at the other end of a local socket, as the kernel reports it (SO_PEERCRED, unix(7)).
package struct PeerCredentials: Sendable, Equatable {
    /// The process that connected.
    package let pid: Int32
    /// Its effective user.
    package let uid: UInt32
}

/// A local socket that accepts requests, one line each.
package final class UnixListener {
    /// For poll(2).
    package let descriptor: Int32

    /// Listens at a path; an existing file there is removed, so take the lock for the path first.
    ///
    /// - Throws: `file` if the socket cannot be created.
    package init(path: String) throws(HostError) {
        try SecureFiles.remove(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else { throw .file(path: path, operation: "create a socket", errno: errno) }
        self.descriptor = descriptor
        // The socket appears with mode 0600: bind(2) applies the umask.
        let mask = umask(0o177)
        defer { umask(mask) }
        try UnixSocket.withAddress(path) { (address, length) throws(HostError) in
            guard bind(descriptor, address, length) == 0, listen(descriptor, 64) == 0 else {
                throw .file(path: path, operation: "listen", errno: errno)
            }
        }
    }

    deinit { close(descriptor) }

    /// The next waiting connection, or nil.
    package func accept() -> UnixConnection? {
        let connection = latchkey_accept(descriptor)
        return connection >= 0 ? UnixConnection(descriptor: connection) : nil
    }
}

/// One end of a local socket; lines go both ways.
package final class UnixConnection {
    /// For poll(2).
    package let descriptor: Int32
    private var buffer: [UInt8] = []

    /// A request or reply is never longer.
    private static let lineLimit = 1 << 20

    fileprivate init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// The other end's process and user, or nil if the kernel does not report them.
    package var peer: PeerCredentials? {
        var pid: Int32 = 0
        var uid: UInt32 = 0
        guard latchkey_peer(descriptor, &pid, &uid) == 0 else { return nil }
        return PeerCredentials(pid: pid, uid: uid)
    }

    /// Whether a whole line has arrived that was not read yet.
    package var hasLine: Bool { buffer.contains(0x0A) }

    /// The result of a read.
    package enum Reading: Equatable {
        case line(String)
        case notYet
        case closed
    }

    /// Reads what has arrived, without waiting.
    package func read() -> Reading {
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                let line = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeSubrange(...end)
                return .line(line)
            }
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count > 0 {
                buffer += chunk[..<count]
                if buffer.count > Self.lineLimit { return .closed }
            } else if count < 0, errno == EINTR {
                continue
            } else {
                return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? .notYet : .closed
            }
        }
    }

    /// Sends a line; gives up after two seconds if the other end does not read, and ignores a closed one.
    package func send(_ line: String) {
        var rest = Array("\(line)\n".utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                guard Poll.writable(descriptor, milliseconds: 2_000) else { return }
            } else if errno != EINTR {
                return
            }
        }
    }
}

/// The client side of a local socket.
package enum UnixSocket {
    /// Connects, or returns nil if no process listens.
    ///
    /// - Throws: `file` for any other reason.
    package static func connect(_ path: String) throws(HostError) -> UnixConnection? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else { throw .file(path: path, operation: "create a socket", errno: errno) }
        let connection = UnixConnection(descriptor: descriptor)
        var failure: Int32 = 0
        do {
            try withAddress(path) { (address, length) throws(HostError) in
                failure = Glibc.connect(descriptor, address, length) == 0 ? 0 : errno
            }
        } catch {
            // The folder is missing, so no process can listen in it.
            return nil
        }
        if failure == 0 { return connection }
        if [ENOENT, ECONNREFUSED, ENOTDIR, EAGAIN].contains(failure) { return nil }
        throw .file(path: path, operation: "connect", errno: failure)
    }

    /// Sends one message to a local socket, without waiting; a message that is not received is lost.
    package static func sendDatagram(_ message: String, to path: String) {
        let kind = Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC | O_NONBLOCK
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(message.utf8)
        try? withAddress(path) { (address, length) throws(HostError) in
            _ = sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, length)
        }
    }

    /// Waits for a line.
    ///
    /// - Returns: `notYet` if nothing arrived in time; nil waits forever.
    package static func receive(_ connection: UnixConnection, milliseconds: Int64?) -> UnixConnection.Reading {
        let end = milliseconds.map { BootClock.system.now().advanced(milliseconds: $0) }
        while true {
            let reading = connection.read()
            guard reading == .notYet else { return reading }
            let left = end.map { BootClock.system.now().milliseconds(until: $0) }
            if let left, left <= 0 { return .notYet }
            _ = Poll.readable([connection.descriptor], milliseconds: left)
        }
    }

    /// Creates a socket address for a path of any length: sun_path holds 107 bytes, so a longer path goes through
    /// its folder's descriptor in /proc.
    fileprivate static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(HostError) -> Void
    ) throws(HostError) {
        var short = path
        var folder: Int32 = -1
        if path.utf8.count > 100 {
            folder = latchkey_open_place(SecureFiles.folder(of: path))
            guard folder >= 0 else { throw .file(path: path, operation: "open the folder", errno: errno) }
            short = "/proc/self/fd/\(folder)/\(SecureFiles.name(of: path))"
        }
        defer { if folder >= 0 { close(folder) } }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: short.utf8.prefix(107)) }
        let stored = address
        let result: Result<Void, HostError> = withUnsafePointer(to: stored) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                do throws(HostError) {
                    return .success(try body(generic, socklen_t(MemoryLayout<sockaddr_un>.size)))
                } catch {
                    return .failure(error)
                }
            }
        }
        try result.get()
    }
}

/// Waiting for descriptors (poll(2)).
package enum Poll {
    /// The descriptors that are readable or at their end, after at most this wait; nil waits forever.
    package static func readable(_ descriptors: [Int32], milliseconds: Int64?) -> Set<Int32> {
        wait(descriptors, events: Int16(POLLIN), milliseconds: milliseconds)
    }

    /// Whether a descriptor is writable, after at most this wait.
    package static func writable(_ descriptor: Int32, milliseconds: Int64) -> Bool {
        !wait([descriptor], events: Int16(POLLOUT), milliseconds: milliseconds).isEmpty
    }

    private static func wait(_ descriptors: [Int32], events: Int16, milliseconds: Int64?) -> Set<Int32> {
        var entries = descriptors.map { pollfd(fd: $0, events: events, revents: 0) }
        let timeout = milliseconds.map { Int32(clamping: max($0, 0)) } ?? -1
        guard poll(&entries, nfds_t(entries.count), timeout) > 0 else { return [] }
        return Set(entries.filter { $0.revents != 0 }.map(\.fd))
    }
}
