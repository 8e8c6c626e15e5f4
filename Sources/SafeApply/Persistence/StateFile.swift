import Glibc
import Host

/// The content of a file that is loaded at boot, or that records what was kept, at some moment.
package struct StateFile: Codable, Sendable, Equatable {
    /// What the path held.
    package enum Content: Codable, Sendable, Equatable {
        /// Nothing.
        case absent
        /// A plain file with this text and mode.
        case file(text: String, mode: UInt32)
        /// A symbolic link.
        case link(target: String)
    }

    /// Its path on the machine, without the layout's root.
    package var path: String
    /// What it held.
    package var content: Content

    /// The files that a kept change to new rules writes, except the record of what was kept.
    package static let paths =
        [Layout().answers] + BootService.files.map(\.path) + [BootPath.persistentSets] + RestoreUnit.all
        + RestoreScript.all

    /// The current content of these files.
    ///
    /// A path that is neither a text file, nor a link, nor missing is left out, and a restore does not change it.
    static func all(in layout: Layout) -> [StateFile] {
        paths.compactMap { path in content(of: layout.path(path)).map { StateFile(path: path, content: $0) } }
    }

    private static func content(of path: String) -> Content? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return errno == ENOENT || errno == ENOTDIR ? .absent : nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG:
            guard let bytes = try? SecureFiles.read(path, flags: O_NOFOLLOW),
                let text = String(validating: bytes, as: UTF8.self)
            else { return nil }
            return .file(text: text, mode: status.st_mode & 0o777)
        case S_IFLNK:
            return (try? SecureFiles.target(ofLink: path)).map { .link(target: $0) }
        default:
            return nil
        }
    }

    /// Restores the file.
    ///
    /// - Returns: whether it changed.
    /// - Throws: `host`.
    func putBack(in layout: Layout) throws(ChangeError) -> Bool {
        let path = layout.path(path)
        guard Self.content(of: path) != content else { return false }
        try ChangeError.wrap { () throws(HostError) in
            let mode: mode_t = path.hasPrefix(layout.state) ? 0o700 : 0o755
            if content != .absent { try SecureFiles.makeFolder(SecureFiles.folder(of: path), mode: mode) }
            switch content {
            case .absent: try SecureFiles.remove(path)
            case .file(let text, let mode): try SecureFiles.write(Array(text.utf8), to: path, mode: mode)
            case .link(let target): try SecureFiles.link(path, to: target)
            }
        }
        return true
    }
}
