import Glibc

/// An error of the system or of a tool, with its evidence.
package enum HostError: Error, Equatable, Sendable {
    /// A system call on a file failed.
    case file(path: String, operation: String, errno: Int32)
    /// A file or folder that only root should write is not secure.
    case insecure(path: String, reason: String)
    /// A program is not in any of the system's program folders.
    case toolMissing(name: String, lookedIn: [String])
    /// A program could not be started, or its output could not be read.
    case toolUnusable(command: [String], reason: String)
    /// A program ended with an error.
    case toolFailed(command: [String], status: Int32, message: String)
    /// A program did not end in time and was killed.
    case toolTimedOut(command: [String], seconds: Int)
    /// Another program held the lock of iptables for too long.
    case xtablesLocked(command: [String], message: String)
    /// The kernel or the tool refused a rule set; the line counts from 1, if the tool named one.
    case rulesRefused(command: [String], line: Int?, message: String)
    /// Both iptables backends filter incoming packets.
    case bothBackends(chosen: Backend)
}

extension HostError: CustomStringConvertible {
    /// One or two plain sentences.
    package var description: String {
        switch self {
        case .file(let path, let operation, let errno):
            "\(path): cannot \(operation): \(String(cString: strerror(errno)))."
        case .insecure(let path, let reason):
            "\(path): \(reason). It must belong to root, and only root may write it."
        case .toolMissing(let name, let lookedIn):
            "The program \"\(name)\" is missing (looked in \(lookedIn.joined(separator: ", ")))."
        case .toolUnusable(let command, let reason):
            "\(command.joined(separator: " ")): \(reason)"
        case .toolFailed(let command, let status, let message):
            "\(command.joined(separator: " ")) failed with status \(status): \(message)"
        case .toolTimedOut(let command, let seconds):
            "\(command.joined(separator: " ")) did not finish within \(seconds) s and was stopped."
        case .xtablesLocked(let command, let message):
            "\(command.joined(separator: " ")): another program holds the iptables lock: \(message)"
        case .rulesRefused(let command, let line, let message):
            "\(command.joined(separator: " ")) refused the rules" + (line.map { " at line \($0)" } ?? "")
                + ": \(message)"
        case .bothBackends(let chosen):
            "Both iptables backends, nft and legacy, filter incoming packets. latchkey would change only "
                + "\(chosen.rawValue), but packets must pass both. Remove the rules of the backend that you don't use."
        }
    }
}
