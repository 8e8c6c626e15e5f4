import Glibc

/// Where facts about the machine are read: its root folder and its procfs.
///
/// No error here is fatal: a file that is missing, unreadable or disappears is `nil`, and the caller decides what that
/// means. Processes often end while they are being read; that is not an error.
package struct FactSource: Sendable, Equatable {
    /// The folder that is used as `/`; empty for the machine itself.
    package let root: String
    /// The procfs to read, usually `/proc`.
    package let proc: String

    /// Whether its procfs is that of this program, so that the kernel itself can be asked.
    var isLive: Bool { proc == "/proc" }

    /// Facts of this machine, or of a copy of its files for a test.
    ///
    /// - Parameters:
    ///   - root: The folder that is used as `/`.
    ///   - proc: The procfs; without it, `proc` under the root.
    package init(root: String = "", proc: String? = nil) {
        self.root = root.hasSuffix("/") ? String(root.dropLast()) : root
        self.proc = proc ?? self.root + "/proc"
    }

    /// The path under the root for an absolute path of the machine.
    package func path(_ absolute: String) -> String { root + absolute }

    /// The path of a file of procfs.
    package func procPath(_ name: String) -> String { "\(proc)/\(name)" }

    // MARK: Reading

    /// The lines of a file of the machine, or `nil` when it cannot be read.
    func lines(_ absolute: String) -> [Substring]? { Self.text(path(absolute)).map(Self.lines(of:)) }

    /// The lines of a file of procfs, or `nil` when it cannot be read.
    func procLines(_ name: String) -> [Substring]? {
        // One row of a socket table is 150 bytes; a busy server has a hundred thousand rows.
        Self.text("\(proc)/\(name)", limit: 64 << 20).map(Self.lines(of:))
    }

    /// The value that a settings file of the shell assigns to a variable, without blanks and quotes.
    ///
    /// - Parameters:
    ///   - key: The name of the variable.
    ///   - absolute: The file.
    /// - Returns: The value, or `nil` when nothing is assigned.
    func assignment(to key: String, in absolute: String) -> String? {
        let values = (lines(absolute) ?? []).compactMap { line -> Substring? in
            let words = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return words.count == 2 && words[0].filter { !$0.isWhitespace } == key ? words[1] : nil
        }
        // As in the shell, which reads these files, the last assignment counts.
        return values.last?.filter { !$0.isWhitespace && $0 != "\"" && $0 != "'" }
    }

    /// Whether something is at a path of the machine; a dangling symbolic link counts.
    func exists(_ absolute: String) -> Bool {
        var info = stat()
        return lstat(path(absolute), &info) == 0
    }

    /// Whether a path of the machine exists, with all links on the way followed under the same root.
    func resolves(_ absolute: String) -> Bool {
        var done: [Substring] = []
        var rest = Array(absolute.split(separator: "/").reversed())
        var links = 0
        while let name = rest.popLast() {
            if name == "." { continue }
            if name == ".." {
                _ = done.popLast()
                continue
            }
            let place = "/" + (done + [name]).joined(separator: "/")
            guard exists(place) else { return false }
            guard let target = try? SecureFiles.target(ofLink: path(place)) else {
                done.append(name)
                continue
            }
            links += 1
            guard links <= Self.mostLinks else { return false }
            if target.hasPrefix("/") { done = [] }
            rest += target.split(separator: "/").reversed()
        }
        return true
    }

    /// How many links the kernel follows in a path (path_resolution(7)).
    private static let mostLinks = 40

    /// Whether a folder is at a path of the machine.
    func isDirectory(_ absolute: String) -> Bool {
        var info = stat()
        return stat(path(absolute), &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    /// The sorted names in a folder of the machine; empty when there is none.
    func names(in absolute: String) -> [String] { (try? SecureFiles.names(in: path(absolute))) ?? [] }

    // MARK: Raw files

    static func lines(of text: String) -> [Substring] {
        text.split(whereSeparator: { $0 == "\n" || $0 == "\r\n" })
    }

    static func text(_ path: String, limit: Int = 1 << 20) -> String? {
        bytes(path, limit: limit).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Reads a whole file, whose size procfs does not tell; `nil` on any error or above the limit.
    static func bytes(_ path: String, limit: Int = 1 << 20) -> [UInt8]? {
        // Non-blocking: a FIFO put where a file is expected must not stop the program.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return contents }
            contents += buffer[..<count]
            guard contents.count <= limit else { return nil }
        }
    }
}
