import Glibc
import Host

/// What a command knows of the world outside its flags; tests hand it another one.
package struct CommandContext: Sendable {
    /// Where latchkey's files lie.
    package var layout: Layout
    /// The effective user; 0 is root.
    package var userID: UInt32
    /// Where words go.
    package var console: any Console
    /// The environment's variables.
    package var environment: [String: String]
    /// Where facts about the machine are read.
    package var facts = FactSource()

    /// A context of given parts.
    package init(layout: Layout, userID: UInt32, console: any Console, environment: [String: String] = [:]) {
        self.layout = layout
        self.userID = userID
        self.console = console
        self.environment = environment
    }

    /// The machine itself.
    package static func system() -> Self {
        Self(
            layout: Layout(root: getenv("LATCHKEY_ROOT").map { absolute(String(cString: $0)) }), userID: geteuid(),
            console: SystemConsole(), environment: variables)
    }

    /// The variables that this process was started with (environ(7)).
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

    /// A path as it reads here, for processes that work in another folder; a guard works in none.
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
                .needsRoot, "\"latchkey \(command)\" needs root: nothing was done.",
                next: "sudo latchkey \(command) ...")
        }
    }
}
