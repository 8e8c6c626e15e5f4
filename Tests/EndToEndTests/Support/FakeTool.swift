import TestSupport

/// A tool of the test's own that stands in the way of the real one and passes most calls on to it.
enum FakeTool {
    /// Puts ip6tables-BACKEND-restore in front of the real one.
    ///
    /// - Parameters:
    ///   - trouble: shell lines for a real load (not `--test`) of rules that have `$input`; what falls through is
    ///     passed on.
    ///   - machine: where it is put.
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
        // Written by another process: a program that this one still has open, in a child just forked, cannot be run.
        let plain = try machine.root.write(script, to: "usr/sbin/\(name).sh")
        try await mustRun(["install", "-m", "755", plain, "\(machine.root.path)/usr/sbin/\(name)"])
    }
}
