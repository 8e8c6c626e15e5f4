import Glibc

/// An advisory lock on a file (flock(2)); the kernel releases it when its process ends.
package final class FileLock {
    private let descriptor: Int32

    /// Takes the lock, or returns nil if another process holds it.
    ///
    /// - Throws: `file` when the file cannot be opened.
    package static func tryAcquire(_ path: String) throws(HostError) -> FileLock? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .file(path: path, operation: "open", errno: errno) }
        // Regardless of the umask.
        _ = fchmod(descriptor, 0o600)
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
            let text = Array("\(getpid())\n".utf8)
            ftruncate(descriptor, 0)
            pwrite(descriptor, text, text.count, 0)
            return FileLock(descriptor: descriptor)
        }
        let code = errno
        close(descriptor)
        if code == EWOULDBLOCK { return nil }
        throw .file(path: path, operation: "lock", errno: code)
    }

    /// Whether no process holds the lock; the file is not changed, and a missing one is free.
    ///
    /// - Throws: `file` when it cannot be opened.
    package static func isFree(_ path: String) throws(HostError) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { return true }
            throw .file(path: path, operation: "open", errno: errno)
        }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) == 0
    }

    /// The process that holds the lock, or held it last; nil if none ever did.
    package static func holder(_ path: String) -> Int32? {
        guard let bytes = try? SecureFiles.readTrusted(path, limit: 64) else { return nil }
        return Int32(String(decoding: bytes, as: UTF8.self).prefix { $0.isNumber })
    }

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }
}
