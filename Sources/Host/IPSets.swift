/// The sets that rules may refer to (ipset(8)); a rule that names a missing one cannot be restored.
package struct IPSets: Sendable {
    private let program: String
    private let runner: any CommandRunner

    /// The ipset command; nil if it is not installed, in which case there are no sets.
    package init?(toolbox: Toolbox, runner: any CommandRunner) {
        guard let program = toolbox.find("ipset") else { return nil }
        self.program = program
        self.runner = runner
    }

    /// All sets and their entries, as commands that create them; "" if there are none.
    ///
    /// - Throws: what running the tool throws.
    package func dump() async throws(HostError) -> String {
        guard Self.hasModule else { return "" }
        return try await runner.check(Command(program, ["save"])).text
    }

    /// The names of all sets.
    ///
    /// - Throws: what running the tool throws.
    package func names() async throws(HostError) -> [String] {
        guard Self.hasModule else { return [] }
        return try await runner.check(Command(program, ["list", "-n"])).text.split(separator: "\n").map(String.init)
    }

    /// One set and its entries, as `dump` prints them.
    ///
    /// - Throws: what running the tool throws; `toolFailed` where there is no such set.
    package func dump(_ name: String) async throws(HostError) -> String {
        try await runner.check(Command(program, ["save", name])).text
    }

    /// Without the module there are no sets; asking ipset would load it.
    private static var hasModule: Bool {
        SecureFiles.exists("/sys/module/ip_set") || !SecureFiles.exists("/sys/module")
    }

    /// Creates missing sets and entries; existing ones don't change.
    ///
    /// - Throws: what running the tool throws.
    package func restoreMissing(_ text: String) async throws(HostError) {
        guard !text.isEmpty else { return }
        _ = try await runner.check(Command(program, ["restore", "-exist"], input: Array(text.utf8)))
    }

    /// Removes sets, except those that a rule still names.
    package func remove(_ names: [String]) async {
        for name in names { _ = try? await runner.run(Command(program, ["destroy", name])) }
    }
}
