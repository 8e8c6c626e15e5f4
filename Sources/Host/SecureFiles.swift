import Glibc

/// Files that only root may read and write: no symbolic link is followed, nothing is ever half written.
package enum SecureFiles {
    /// Makes a folder and those above it; an existing one must be this user's own and nobody else's to write.
    ///
    /// - Throws: `file` when it cannot be made, `insecure` when what stands there is not to be trusted.
    package static func makeFolder(_ path: String, mode: mode_t = 0o700) throws(HostError) {
        let parent = folder(of: path)
        if parent != path, access(parent, F_OK) != 0 { try makeFolder(parent, mode: 0o755) }
        let isNew = mkdir(path, mode) == 0
        if !isNew, errno != EEXIST { throw .file(path: path, operation: "make this folder", errno: errno) }
        try requireTrusted(path, kind: S_IFDIR, name: "folder")
        // The mode asked for, whatever the umask was; and what is for one user alone is closed to others.
        if isNew || mode == 0o700 { try setMode(path, mode) }
    }

    private static func setMode(_ path: String, _ mode: mode_t) throws(HostError) {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard folder >= 0 else { throw .file(path: path, operation: "open", errno: errno) }
        defer { close(folder) }
        var status = stat()
        guard fstat(folder, &status) == 0 else { throw .file(path: path, operation: "look at", errno: errno) }
        // Nothing is written where nothing is wrong: a read-only file system is then none of our trouble.
        guard status.st_mode & 0o7777 != mode else { return }
        guard fchmod(folder, mode) == 0 else { throw .file(path: path, operation: "set the mode of", errno: errno) }
    }

    /// Writes a file as a whole: a temporary file in the same folder, synced, then renamed over the old one.
    ///
    /// - Throws: `file`; the old content then still stands.
    package static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o600) throws(HostError) {
        let parent = folder(of: path)
        let temporary = "\(parent)/.\(name(of: path)).new"
        unlink(temporary)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard file >= 0 else { throw .file(path: temporary, operation: "make this file", errno: errno) }
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

    /// Reads a file that is a plain file of this user's own.
    ///
    /// - Throws: `file` when it cannot be read or is larger than `limit` bytes, `insecure` when it is not to be
    ///   trusted.
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
    /// Not by way of /dev/stdin: that opens what stands there once more, which a socket (sshd's) does not let happen
    /// and which other people's files refuse.
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

    /// Adds a line to the end of a file that nobody else writes, synced; a line that does not fit is taken back whole.
    ///
    /// - Throws: `file`; `insecure` when what stands there is not this user's own plain file.
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

    /// Removes a file; one that is not there is no error.
    ///
    /// - Throws: `file` when it stays.
    package static func remove(_ path: String) throws(HostError) {
        if unlink(path) != 0, errno != ENOENT { throw .file(path: path, operation: "remove", errno: errno) }
    }

    /// Gives a file another name in its folder, in place of an earlier one.
    ///
    /// - Throws: `file`.
    package static func move(_ path: String, to other: String) throws(HostError) {
        guard rename(path, other) == 0 else { throw .file(path: path, operation: "rename", errno: errno) }
        try syncFolder(folder(of: path))
    }

    /// Makes a symbolic link, in place of an earlier one.
    ///
    /// - Throws: `file`.
    package static func link(_ path: String, to target: String) throws(HostError) {
        try remove(path)
        guard symlink(target, path) == 0 else { throw .file(path: path, operation: "make this link", errno: errno) }
        try syncFolder(folder(of: path))
    }

    /// What a symbolic link says.
    ///
    /// - Throws: `file` when it is none.
    package static func target(ofLink path: String) throws(HostError) -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &buffer, buffer.count)
        guard count >= 0 else { throw .file(path: path, operation: "read this link", errno: errno) }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// Removes a folder and the files in it, `first` ahead of the others; what is no folder is not followed.
    ///
    /// - Throws: `file` when something stays, a folder in it for example.
    package static func removeFolder(_ path: String, first: String) throws(HostError) {
        try requireTrusted(path, kind: S_IFDIR, name: "folder")
        try remove("\(path)/\(first)")
        for name in try names(in: path) { try remove("\(path)/\(name)") }
        guard rmdir(path) == 0 else { throw .file(path: path, operation: "remove this folder", errno: errno) }
        try syncFolder(folder(of: path))
    }

    /// Whether something stands at a path; a symbolic link counts itself.
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

    /// Checks that a path is what it should be, is this user's (or root's) own and writable by nobody else.
    ///
    /// - Throws: `file` when it is not there, `insecure` when it is not so.
    package static func requireTrusted(_ path: String, kind: mode_t, name: String) throws(HostError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw .file(path: path, operation: "look at", errno: errno) }
        guard status.st_mode & S_IFMT == kind else { throw .insecure(path: path, reason: "this is not a \(name)") }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw .insecure(path: path, reason: "it belongs to user \(status.st_uid)")
        }
        guard status.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
            throw .insecure(path: path, reason: "others than its owner may write it")
        }
    }

    /// Checks that what stands at a path, if anything, is a plain file of this user's (or root's) own, writable by nobody
    /// else.
    ///
    /// - Throws: as `requireTrusted`.
    package static func requirePlainFileIfAny(_ path: String) throws(HostError) {
        if exists(path) { try requireTrusted(path, kind: S_IFREG, name: "plain file") }
    }

    /// Checks that a path is a folder of this user's (or root's) own, writable by nobody else.
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

    /// Makes durable which files a folder holds.
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

    /// The error number of what failed, or nil.
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
        // The mode asked for, whatever the umask was.
        guard fchmod(file, mode) == 0, fsync(file) == 0 else { return errno }
        return nil
    }
}
