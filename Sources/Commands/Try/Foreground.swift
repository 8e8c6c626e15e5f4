import Glibc

/// Runs programs in the foreground of this terminal.
enum Foreground {
    /// Runs a program and waits for it.
    ///
    /// - Returns: Its exit status, or 128 plus the signal number.
    /// - Throws: `Failure` if it can't be started.
    static func run(_ words: [String]) throws(Failure) -> Int32 {
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { argv.forEach { free($0) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, words[0], nil, nil, &argv, environ)
        guard code == 0 else { throw Failure(.failed, "\(words[0]): \(String(cString: strerror(code))).") }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }
}
