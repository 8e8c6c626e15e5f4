import Glibc

/// A list of addresses of the iptables match `recent` (iptables-extensions(8)), which the kernel shows in
/// /proc/net/xt_recent.
///
/// It exists while a rule names it. Writing to it needs no program, no lock and almost no memory.
package struct RecentList: Sendable, Equatable {
    private let path: String

    /// Where the kernel shows the lists of this process's network.
    package static let folder = "/proc/net/xt_recent"

    /// The list of that name.
    package init(name: String, folder: String = RecentList.folder) { path = "\(folder)/\(name)" }

    /// Whether a rule names the list and this process may write to it.
    package var isWritable: Bool { access(path, W_OK) == 0 }

    /// Whether it is empty; a missing list is empty.
    package var isEmpty: Bool {
        guard let bytes = try? SecureFiles.read(path) else { return !SecureFiles.exists(path) }
        return !String(decoding: bytes, as: UTF8.self).contains("src=")
    }

    /// Adds an address, or notes that it was seen now.
    ///
    /// - Throws: `file` if no rule names the list, or if the kernel refuses.
    package func note(_ address: String) throws(HostError) { try write("+\(address)") }

    /// Removes all addresses; a list that no rule names has none.
    ///
    /// - Throws: `file` if the kernel refuses.
    package func clear() throws(HostError) {
        do { try write("/") } catch .file(_, _, ENOENT) { return }
    }

    private func write(_ text: String) throws(HostError) {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw .file(path: path, operation: "open", errno: errno) }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else {
            throw .file(path: path, operation: "write", errno: errno)
        }
    }
}
