import Glibc
import Host

/// A text and the name it goes by in messages.
package struct NamedText: Equatable, Sendable {
    /// The path, or `standard input`.
    package var name: String
    /// What stands in it.
    package var text: String

    /// A text under a name.
    package init(name: String, text: String) {
        self.name = name
        self.text = text
    }

    /// No file for people is larger.
    static let limit = 1 << 20

    /// Takes bytes that must be UTF-8; a byte that is not would otherwise turn into U+FFFD in silence.
    ///
    /// - Throws: `Failure` with status 65 that names the line.
    init(name: String, bytes: [UInt8]) throws(Failure) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let before = String(decoding: bytes, as: UTF8.self).prefix { $0 != "\u{FFFD}" }
            let line = before.utf8.count { $0 == 0x0A } + 1
            throw Failure(
                .badData, "\(name):\(line): this is not UTF-8 text.", inForce: Failure.nothingChanged,
                next: "save the file as UTF-8 and try again.")
        }
        self.init(name: name, text: text)
    }
}

extension AnswersOptions {
    /// Reads the answers: the file that was named, else the ones that were last kept.
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
                .usage, "There are no answers: \(kept) is not there.", inForce: Failure.nothingChanged,
                next: "name a file with --answers FILE, or answer the questions: sudo latchkey")
        }
        return try NamedText(name: kept, path: kept, in: context)
    }
}

extension NamedText {
    /// Reads a file that the user named; no path stands for standard input.
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
                .badData, "\(name): longer than \(Self.limit >> 20) MiB; this is no file for latchkey.",
                inForce: Failure.nothingChanged)
        } catch .file(_, _, EACCES) where context.userID != 0 {
            throw Failure(
                .needsRoot, "\(name): only root may read this file.", inForce: Failure.nothingChanged,
                next: "use sudo, or name a file of your own.")
        } catch .file(_, let operation, let code) {
            throw Failure(
                .usage, "\(name): cannot \(operation) this file: \(String(cString: strerror(code))).",
                inForce: Failure.nothingChanged, next: "check the name; - stands for standard input.")
        } catch {
            throw Failure(error)
        }
        try self.init(name: name, bytes: bytes)
    }
}
