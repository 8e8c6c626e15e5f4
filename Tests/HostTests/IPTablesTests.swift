import TestSupport
import Testing

@testable import Host

/// Tools of one word, the same for every command.
private struct OneWord: CommandRunner {
    let result: CommandResult

    func run(_ command: Command) async throws(HostError) -> CommandResult { result }
}

@Suite("The tables of the kernel")
struct IPTablesTests {
    private func has(_ status: Int32, _ message: String = "") async throws -> Bool {
        let folder = try TemporaryFolder()
        for name in ["iptables-legacy", "iptables-legacy-save", "iptables-legacy-restore"] {
            try folder.write("", to: "usr/sbin/\(name)", mode: 0o700)
        }
        let tool = try await IPTables(
            backend: .legacy, isIPv6: false, toolbox: Toolbox(layout: Layout(root: folder.path)),
            runner: OneWord(result: CommandResult(status: status, message: message)))
        return try await tool.has(table: "nat")
    }

    @Test(
        "a table is missing where the tool says so",
        arguments: [
            "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Table does not exist (do you need to insmod?)",
            "iptables v1.8.9 (legacy): can't initialize iptables table `nat': iptables who? (do you need to insmod?)",
            "iptables v1.8.9 (nf_tables): table `nat' does not exist",
        ])
    func missing(_ message: String) async throws {
        #expect(try await !has(3, message))
    }

    @Test(
        "a tool that stumbles has said nothing about the kernel",
        arguments: [
            "Another app is currently holding the xtables lock; still 0s 0us time ahead to have a chance to grab the lock...",
            "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Permission denied (you must be root)",
            "iptables: Resource temporarily unavailable.", "",
        ])
    func stumbles(_ message: String) async throws {
        await #expect(throws: HostError.self) { try await has(4, message) }
    }

    @Test("it is there where the tool prints it")
    func present() async throws {
        #expect(try await has(0))
    }
}
