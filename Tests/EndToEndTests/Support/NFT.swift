import TestSupport

extension Machine {
    /// Loads rules with nft itself.
    func nft(_ text: String) async throws {
        try await namespace.mustRun(["nft", "-f", "-"], input: Array("\(text)\n".utf8))
    }

    /// The kernel's own listing of everything, without counters.
    func listing() async throws -> String { try await namespace.mustRun(["nft", "-s", "list", "ruleset"]) }
}
