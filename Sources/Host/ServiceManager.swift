import Glibc

/// Notifies systemd that a service is ready and alive (sd_notify(3)).
package struct ServiceManager: Sendable {
    private let path: String

    /// The manager that started this process, or nil.
    package init?() {
        guard let value = getenv("NOTIFY_SOCKET") else { return nil }
        path = String(cString: value)
    }

    /// Sends a notification, such as `READY=1` or `WATCHDOG=1`; errors are ignored.
    package func tell(_ text: String) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // An abstract name, which begins with @, begins with a zero byte for the kernel.
        var name = Array(path.utf8.prefix(107))
        if name.first == UInt8(ascii: "@") { name[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let bytes = Array(text.utf8)
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }

    /// Whether a service that the machine's systemd starts would see the same network, files and processes as this
    /// process: inside a container's or a test's namespaces it would change another machine's firewall.
    package static var reachesThisPlace: Bool {
        guard SystemFacts().isSystemd else { return false }
        return ["net", "mnt", "pid", "user"].allSatisfy { kind in
            let own = try? SecureFiles.target(ofLink: "/proc/self/ns/\(kind)")
            return own != nil && own == (try? SecureFiles.target(ofLink: "/proc/1/ns/\(kind)"))
        }
    }

    /// Whether systemd has stopped all services and the machine is shutting down.
    ///
    /// PID 1 is systemd-shutdown(8) then, which waits up to 90 s for processes that ignore SIGTERM; the rules disappear
    /// with the kernel.
    package static var isGoingDown: Bool {
        guard let name = try? SecureFiles.read("/proc/1/comm") else { return false }
        return String(decoding: name, as: UTF8.self).hasPrefix("systemd-shutdow")
    }
}
