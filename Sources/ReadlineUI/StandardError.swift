import Glibc

/// Standard error, which receives all messages to the user.
enum StandardError {
    static let descriptor: Int32 = STDERR_FILENO

    /// Writes a text.
    ///
    /// Errors are ignored, because the terminal may be gone.
    static func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if count < 0, errno == EINTR {
                continue
            } else {
                return
            }
        }
    }

    /// The width of the terminal on standard error; 80 if there is none.
    static var columns: Int {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}
