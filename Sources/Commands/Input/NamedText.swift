import Glibc
import Host

/// A text and the name that messages use for it.
package struct NamedText: Equatable, Sendable {
    /// The path, or `standard input`.
    package var name: String
    /// The content.
    package var text: String

    /// Creates a named text.
    package init(name: String, text: String) {
        self.name = name
        self.text = text
    }

    /// The largest file that is read, in bytes.
    static let limit = 1 << 20

    /// Decodes UTF-8, and refuses anything else: a lenient decoder would silently replace bad bytes with U+FFFD.
    ///
    /// - Throws: `Failure` with status 65 that names the line.
    init(name: String, bytes: [UInt8]) throws(Failure) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let before = String(decoding: bytes, as: UTF8.self).prefix { $0 != "\u{FFFD}" }
            let line = before.utf8.count { $0 == 0x0A } + 1
            throw Failure(
                .badData, "\(name):\(line): this line is not UTF-8 text.", activeRules: Failure.nothingChanged,
                next: "save the file as UTF-8 and try again.")
        }
        self.init(name: name, text: text)
    }
}

extension AnswersOptions {
    /// Reads the answers: from the named file, or else the answers that were last kept.
    ///
    /// - Throws: `Failure`: 64 when there is no such file, 65 when it is not text, 77 when only root may read it.
    package func read(in context: CommandContext) throws(Failure) -> NamedText {
        if file == "-" {
            return try NamedText(name: "standard input", path: nil, in: context)
        }
        if let file { return try NamedText(name: file, path: file, in: context) }
        let kept = context.layout.answers
        guard SecureFiles.exists(kept) else {
            throw Failure(
                .usage, "There are no answers: \(kept) does not exist.", activeRules: Failure.nothingChanged,
                next: "name a file with --answers FILE, or run the wizard: sudo latchkey")
        }
        return try NamedText(name: kept, path: kept, in: context)
    }
}

extension NamedText {
    /// Reads a file that the user named; a nil path means standard input.
    ///
    /// - Throws: `Failure`: 64 when it cannot be read, 65 when it is too large or not text, 77 when only root may read
    ///   it.
    package init(name: String, path: String?, in context: CommandContext) throws(Failure) {
        let bytes: [UInt8]
        do {
            bytes =
                if let path { try SecureFiles.read(path, limit: Self.limit) } else {
                    try SecureFiles.readStandardInput(limit: Self.limit)
                }
        } catch .file(_, _, EFBIG) {
            throw Failure(
                .badData, "\(name): the file is larger than \(Self.limit >> 20) MiB.",
                activeRules: Failure.nothingChanged)
        } catch .file(_, _, EACCES) where context.userID != 0 {
            throw Failure(
                .needsRoot, "\(name): only root can read this file.", activeRules: Failure.nothingChanged,
                next: "use sudo, or name another file.")
        } catch .file(_, let operation, let code) {
            throw Failure(
                .usage, "\(name): cannot \(operation) this file: \(String(cString: strerror(code))).",
                activeRules: Failure.nothingChanged, next: "check the name; - means standard input.")
        } catch {
            throw Failure(error)
        }
        try self.init(name: name, bytes: bytes)
    }
}
