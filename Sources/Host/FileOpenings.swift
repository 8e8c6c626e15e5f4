import Glibc

/// Tells when one of several files is opened or executed (inotify(7)).
package final class FileOpenings {
    /// For poll(2).
    package let descriptor: Int32

    /// An empty watch; nil if the kernel refuses.
    package init?() {
        descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// Watches a file; a file that is watched already is not watched twice.
    ///
    /// - Returns: whether the file is watched.
    package func watch(_ path: String) -> Bool {
        inotify_add_watch(descriptor, path, UInt32(IN_OPEN)) >= 0
    }

    /// Forgets what was opened so far.
    ///
    /// - Returns: whether a file was opened since the last call.
    package func clear() -> Bool {
        var isAny = false
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count > 0 { isAny = true } else if count == 0 || errno != EINTR { return isAny }
        }
    }
}
