import TestSupport

/// A tool of the test that replaces the real one and passes most calls on to it.
enum FakeTool {
    /// Replaces ip6tables-BACKEND-restore with a script.
    ///
    /// - Parameters:
    ///   - trouble: shell lines for a real load (not `--test`) of rules that have `$input`; calls that do not exit are
    ///     passed on.
    ///   - machine: the machine that gets the tool.
    /// - Throws: when it cannot be written.
    static func ip6tablesRestore(_ trouble: String, on machine: Machine) async throws {
        let name = machine.backend.tool(.ipv6, "restore")
        let script = """
            #!/bin/sh
            input=$(cat)
            real() { printf '%s\\n' "$input" | \(try Tool.path(name)) "$@"; }
            for word; do
                if [ "$word" = --test ]; then real "$@"; exit; fi
            done
            \(trouble)
            real "$@"

            """
        // Written by another process: a program that this process still has open, in a child just forked, can't be run.
        let plain = try machine.root.write(script, to: "usr/sbin/\(name).sh")
        try await mustRun(["install", "-m", "755", plain, "\(machine.root.path)/usr/sbin/\(name)"])
    }
}
