import Glibc

/// A command's output: results and messages are separate, so that results can be piped.
package protocol Console: Sendable {
    /// Writes a result to standard output, unchanged.
    ///
    /// - Throws: `Failure` when it cannot be written completely.
    func result(_ text: String) throws(Failure)
    /// Writes a message for a person to standard error; a write that fails is ignored.
    func say(_ text: String)
}

/// The process's own standard output and error.
package struct SystemConsole: Console {
    /// A console on descriptors 1 and 2.
    package init() {}

    package func result(_ text: String) throws(Failure) {
        if let code = Self.write(text, to: STDOUT_FILENO) {
            throw Failure(.failed, "Cannot write the result: \(String(cString: strerror(code))).")
        }
    }

    package func say(_ text: String) {
        _ = Self.write(text, to: STDERR_FILENO)
    }

    /// The `errno` of a write that failed, or nil.
    private static func write(_ text: String, to descriptor: Int32) -> Int32? {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                return errno
            }
        }
        return nil
    }
}
