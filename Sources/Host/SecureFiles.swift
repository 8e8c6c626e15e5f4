import Glibc

/// Files that only root can read and write: symbolic links are not followed, and writes are atomic.
package enum SecureFiles {
    /// Creates a folder and its parents; an existing one must belong to this user, and only this user may write it.
    ///
    /// - Throws: `file` if it cannot be created, `insecure` if the existing one cannot be trusted.
    package static func makeFolder(_ path: String, mode: mode_t = 0o700) throws(HostError) {
        let parent = folder(of: path)
        if parent != path, access(parent, F_OK) != 0 { try makeFolder(parent, mode: 0o755) }
        let isNew = mkdir(path, mode) == 0
        if !isNew, errno != EEXIST { throw .file(path: path, operation: "create this folder", errno: errno) }
        try requireTrusted(path, kind: S_IFDIR, name: "folder")
        // The requested mode, regardless of the umask; a private folder is closed to other users.
        if isNew || mode == 0o700 { try setMode(path, mode) }
    }

    private static func setMode(_ path: String, _ mode: mode_t) throws(HostError) {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard folder >= 0 else { throw .file(path: path, operation: "open", errno: errno) }
        defer { close(folder) }
        var status = stat()
        guard fstat(folder, &status) == 0 else { throw .file(path: path, operation: "look at", errno: errno) }
        // Nothing is written if the mode is already right, so that this also works on a read-only file system.
        guard status.st_mode & 0o7777 != mode else { return }
        guard fchmod(folder, mode) == 0 else { throw .file(path: path, operation: "set the mode of", errno: errno) }
    }

    /// Writes a file atomically: a temporary file in the same folder, synced, then renamed over the old one.
    ///
    /// - Throws: `file`; the file then still has its old content.
    package static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o600) throws(HostError) {
        let parent = folder(of: path)
        let temporary = "\(parent)/.\(name(of: path)).new"
        unlink(temporary)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard file >= 0 else { throw .file(path: temporary, operation: "create this file", errno: errno) }
        let failure = writeSynced(bytes, to: file, mode: mode)
        close(file)
        if let failure {
            unlink(temporary)
            throw .file(path: temporary, operation: "write", errno: failure)
        }
        guard rename(temporary, path) == 0 else {
            let code = errno
            unlink(temporary)
            throw .file(path: path, operation: "replace", errno: code)
        }
        try syncFolder(parent)
    }

    /// Reads a plain file that belongs to this user.
    ///
    /// - Throws: `file` if it cannot be read or is larger than `limit` bytes, `insecure` if it cannot be trusted.
    package static func readTrusted(_ path: String, limit: Int = 64 << 20) throws(HostError) -> [UInt8] {
        try requireTrusted(path, kind: S_IFREG, name: "plain file")
        return try read(path, limit: limit, flags: O_NOFOLLOW)
    }

    /// Reads any file.
    ///
    /// - Throws: `file` when it cannot be read or is larger than `limit` bytes.
    package static func read(_ path: String, limit: Int = 64 << 20, flags: Int32 = 0) throws(HostError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags)
        guard file >= 0 else { throw .file(path: path, operation: "open", errno: errno) }
        defer { close(file) }
        return try readAll(file, named: path, limit: limit)
    }

    /// Reads standard input to its end.
    ///
    /// It does not use /dev/stdin: that opens the file again, which fails for sockets (sshd's) and for files of other
    /// users.
    ///
    /// - Throws: `file` when it cannot be read or is longer than `limit` bytes.
    package static func readStandardInput(limit: Int = 64 << 20) throws(HostError) -> [UInt8] {
        try readAll(STDIN_FILENO, named: "standard input", limit: limit)
    }

    private static func readAll(_ file: Int32, named path: String, limit: Int) throws(HostError) -> [UInt8] {
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if count == 0 { return content }
            if count < 0 {
                if errno == EINTR { continue }
                throw .file(path: path, operation: "read", errno: errno)
            }
            content += chunk[..<count]
            if content.count > limit { throw .file(path: path, operation: "read", errno: EFBIG) }
        }
    }

    /// Appends a line to a file that only this user writes, synced; a line that does not fit is removed again.
    ///
    /// - Throws: `file`; `insecure` if the file is not this user's own plain file.
    package static func appendLine(_ line: String, to path: String, mode: mode_t = 0o600) throws(HostError) {
        try requirePlainFileIfAny(path)
        let file = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode)
        guard file >= 0 else { throw .file(path: path, operation: "open", errno: errno) }
        defer { close(file) }
        let size = lseek(file, 0, SEEK_END)
        var last: UInt8 = 0x0A
        let isWhole = size <= 0 || (pread(file, &last, 1, size - 1) == 1 && last == 0x0A)
        if let failure = writeSynced(Array(((isWhole ? "" : "\n") + line + "\n").utf8), to: file, mode: mode) {
            _ = ftruncate(file, max(size, 0))
            throw .file(path: path, operation: "write", errno: failure)
        }
    }

    /// Removes a file; a missing one is not an error.
    ///
    /// - Throws: `file` if it cannot be removed.
    package static func remove(_ path: String) throws(HostError) {
        if unlink(path) != 0, errno != ENOENT { throw .file(path: path, operation: "remove", errno: errno) }
    }

    /// Renames a file in its folder, replacing an existing one.
    ///
    /// - Throws: `file`.
    package static func move(_ path: String, to other: String) throws(HostError) {
        guard rename(path, other) == 0 else { throw .file(path: path, operation: "rename", errno: errno) }
        try syncFolder(folder(of: path))
    }

    /// Creates a symbolic link, replacing an existing one.
    ///
    /// - Throws: `file`.
    package static func link(_ path: String, to target: String) throws(HostError) {
        try remove(path)
        guard symlink(target, path) == 0 else { throw .file(path: path, operation: "create this link", errno: errno) }
        try syncFolder(folder(of: path))
    }

    /// The target of a symbolic link.
    ///
    /// - Throws: `file` if it is not a link.
    package static func target(ofLink path: String) throws(HostError) -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &buffer, buffer.count)
        guard count >= 0 else { throw .file(path: path, operation: "read this link", errno: errno) }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// Removes a folder and its files, `first` before the others; symbolic links are not followed.
    ///
    /// - Throws: `file` if something cannot be removed, such as a subfolder.
    package static func removeFolder(_ path: String, first: String) throws(HostError) {
        try requireTrusted(path, kind: S_IFDIR, name: "folder")
        try remove("\(path)/\(first)")
        for name in try names(in: path) { try remove("\(path)/\(name)") }
        guard rmdir(path) == 0 else { throw .file(path: path, operation: "remove this folder", errno: errno) }
        try syncFolder(folder(of: path))
    }

    /// Removes a folder that is empty; a missing one is not an error.
    ///
    /// - Throws: `file` if it cannot be removed, such as one with files in it.
    package static func removeEmptyFolder(_ path: String) throws(HostError) {
        if rmdir(path) != 0, errno != ENOENT { throw .file(path: path, operation: "remove", errno: errno) }
    }

    /// Whether a path exists; symbolic links are not followed.
    package static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// The names in a folder, sorted, without "." and "..".
    ///
    /// - Throws: `file` when it cannot be read.
    package static func names(in path: String) throws(HostError) -> [String] {
        guard let directory = opendir(path) else { throw .file(path: path, operation: "list", errno: errno) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Requires that a path has a file type, belongs to this user (or root), and only its owner can write it.
    ///
    /// - Throws: `file` if it does not exist, `insecure` otherwise.
    package static func requireTrusted(_ path: String, kind: mode_t, name: String) throws(HostError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw .file(path: path, operation: "look at", errno: errno) }
        guard status.st_mode & S_IFMT == kind else { throw .insecure(path: path, reason: "this is not a \(name)") }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw .insecure(path: path, reason: "it belongs to user \(status.st_uid)")
        }
        guard status.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
            throw .insecure(path: path, reason: "users other than its owner can write it")
        }
    }

    /// Requires that a path, if it exists, is a plain file of this user (or root) that only its owner can write.
    ///
    /// - Throws: as `requireTrusted`.
    package static func requirePlainFileIfAny(_ path: String) throws(HostError) {
        if exists(path) { try requireTrusted(path, kind: S_IFREG, name: "plain file") }
    }

    /// Requires that a path is a folder of this user (or root) that only its owner can write.
    ///
    /// - Throws: as `requireTrusted`.
    package static func requireFolder(_ path: String) throws(HostError) {
        try requireTrusted(path, kind: S_IFDIR, name: "folder")
    }

    /// The folder that holds a path.
    package static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The last part of a path.
    package static func name(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return path }
        return String(path[path.index(after: slash)...])
    }

    /// Syncs the list of files in a folder to disk.
    ///
    /// - Throws: `file` when the file system reports an error.
    package static func syncFolder(_ path: String) throws(HostError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(path: path, operation: "open", errno: errno) }
        defer { close(descriptor) }
        // EINVAL: a file system without fsync for folders keeps them in order by itself.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw .file(path: path, operation: "sync", errno: errno)
        }
    }

    /// The `errno` of the call that failed, or nil.
    private static func writeSynced(_ bytes: [UInt8], to file: Int32, mode: mode_t) -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return errno
            }
            rest = rest.dropFirst(count)
        }
        // The requested mode, regardless of the umask.
        guard fchmod(file, mode) == 0, fsync(file) == 0 else { return errno }
        return nil
    }
}
