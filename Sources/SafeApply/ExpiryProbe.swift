import Host
import Logging
import Netfilter

extension Transaction {
    /// Whether the kernel has the time match, in each family that the change reaches; nothing changes.
    ///
    /// Only a rule that is refused with the match and taken without it says no: a tool that fails once says nothing, and
    /// must not cost the expiry.
    ///
    /// - Throws: `host` when the tools take neither rule.
    func canExpire(in surroundings: Surroundings) async throws(ChangeError) -> Bool {
        for (family, _) in plan.present {
            guard let tool = kernel.tools[family] else { continue }
            if try await takes("-m time --datestop 2037-01-01T00:00:00 ", tool, surroundings.runner) { continue }
            guard try await takes("", tool, surroundings.runner) else {
                throw .refused(reason: "\(tool.restore) takes no rule at all now.")
            }
            guard try await takes("-m time --datestop 2037-01-01T00:00:00 ", tool, surroundings.runner) else {
                surroundings.log.warning("This kernel has no time match (\(family.rawValue)): no rule can expire.")
                return false
            }
        }
        return true
    }

    private func takes(
        _ match: String, _ tool: IPTables, _ runner: any CommandRunner
    ) async throws(ChangeError) -> Bool {
        let text = "*filter\n-A INPUT \(match)-j ACCEPT\nCOMMIT\n"
        let command = Command(tool.restore, ["-w", "8", "--noflush", "--test"], input: Array(text.utf8))
        let result = try await ChangeError.wrap { () async throws(HostError) in try await runner.run(command) }
        // Where only the kernel lacks the match, libxtables warns and goes on: "Extension time revision 0 not
        // supported, missing kernel module?"
        return result.status == 0 && !result.message.contains("missing kernel module")
    }
}
