import Glibc
import Host
import Policy

/// Reads the files of addresses that an answers file names, relative to it.
struct AddressFiles: Sendable {
    /// The folder of the answers file, absolute.
    private let folder: String

    /// A million lines with the longest addresses need less.
    private static let limit = 64 << 20

    /// The files beside an answers file; for standard input, the files in the working folder.
    init(beside answers: NamedText) {
        let path = CommandContext.absolute(answers.name)
        folder = path.hasPrefix("/") ? SecureFiles.folder(of: path) : CommandContext.absolute(".")
    }

    /// Reads one file of addresses.
    ///
    /// - Parameter path: as written in the answers.
    /// - Returns: its content.
    /// - Throws: why it is not accepted.
    func read(_ path: String) throws(AddressFileError) -> AddressFile {
        let absolute = path.hasPrefix("/") ? path : "\(folder)/\(path)"
        let bytes: [UInt8]
        do {
            try Self.requirePlainFile(absolute)
            bytes = try SecureFiles.read(absolute, limit: Self.limit)
        } catch .file(_, _, EFBIG) {
            throw .unreadable("it is longer than \(Self.limit >> 20) MiB.")
        } catch {
            throw .unreadable("\(error)")
        }
        do { return try AddressFile(bytes, path: absolute) } catch { throw .mistakes(error) }
    }

    /// Refuses folders, devices and pipes, and another user's link, because that user could then change the firewall.
    private static func requirePlainFile(_ path: String) throws(HostError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw .file(path: path, operation: "open", errno: errno) }
        if status.st_mode & S_IFMT == S_IFLNK, status.st_uid != 0, status.st_uid != geteuid() {
            throw .insecure(path: path, reason: "it is a link of another user")
        }
        guard stat(path, &status) == 0 else { throw .file(path: path, operation: "open", errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .insecure(path: path, reason: "this is not a file") }
    }
}
