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
        // Without the module there are no sets; asking ipset would load it.
        guard SecureFiles.exists("/sys/module/ip_set") || !SecureFiles.exists("/sys/module") else { return "" }
        return try await runner.check(Command(program, ["save"])).text
    }

    /// One set and its entries; nil if there is no such set.
    ///
    /// - Throws: what running the tool throws.
    package func dump(_ name: String) async throws(HostError) -> String? {
        guard SecureFiles.exists("/sys/module/ip_set") || !SecureFiles.exists("/sys/module") else { return nil }
        let command = Command(program, ["save", name])
        let result = try await runner.run(command)
        guard result.status != 0 else { return result.text }
        guard result.message.contains("does not exist") else {
            throw .toolFailed(command: command.words, status: result.status, message: result.message)
        }
        return nil
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
