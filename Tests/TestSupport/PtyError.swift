/// Why a conversation on a pty did not go as the test expected.
package enum PtyError: Error, CustomStringConvertible {
    /// A system call failed.
    case system(call: String, errno: Int32)
    /// A text did not appear in time; with the screen at that time.
    case notSeen(String, screen: String)
    /// The program ended first; with the screen at that time.
    case ended(waitingFor: String, screen: String)
    /// The program did not end in time.
    case stillRunning(screen: String)

    package var description: String {
        switch self {
        case .system(let call, let errno): "\(call) failed with errno \(errno)"
        case .notSeen(let text, let screen): "\"\(text)\" did not come. The screen:\n\(screen)"
        case .ended(let text, let screen): "the program ended before \"\(text)\" came. The screen:\n\(screen)"
        case .stillRunning(let screen): "the program did not end. The screen:\n\(screen)"
        }
    }
}
