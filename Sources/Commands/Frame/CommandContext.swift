import Glibc
import Host

/// Everything a command depends on besides its flags; tests inject another one.
package struct CommandContext: Sendable {
    /// The locations of latchkey's files.
    package var layout: Layout
    /// The effective user; 0 is root.
    package var userID: UInt32
    /// Where results and messages go.
    package var console: any Console
    /// The environment variables.
    package var environment: [String: String]
    /// Where facts about the machine are read.
    package var facts = FactSource()

    /// Creates a context; see the properties.
    package init(layout: Layout, userID: UInt32, console: any Console, environment: [String: String] = [:]) {
        self.layout = layout
        self.userID = userID
        self.console = console
        self.environment = environment
    }

    /// The context of this machine and process.
    package static func system() -> Self {
        Self(
            layout: Layout(root: getenv("LATCHKEY_ROOT").map { absolute(String(cString: $0)) }), userID: geteuid(),
            console: SystemConsole(), environment: variables)
    }

    /// The environment that this process was started with (environ(7)).
    private static var variables: [String: String] {
        var found: [String: String] = [:]
        var next: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> = environ
        while let entry = next.pointee {
            let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { found[String(parts[0])] = String(parts[1]) }
            next += 1
        }
        return found
    }

    /// An absolute path, for processes that do not share this working directory; a guard works in `/`.
    static func absolute(_ path: String) -> String {
        guard !path.isEmpty, !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        return "\(String(cString: folder))/\(path)"
    }

    /// Stops a command that only root may run.
    ///
    /// - Throws: `Failure` with status 77.
    package func requireRoot(_ command: String) throws(Failure) {
        guard userID == 0 else {
            throw Failure(
                .needsRoot, "\"latchkey \(command)\" needs root. Nothing was done.",
                next: "sudo latchkey \(command) ...")
        }
    }
}
