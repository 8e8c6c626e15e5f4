import Foundation
import Netfilter
import Synchronization
import TestSupport
import Testing

@testable import Host

/// Tools that give one fixed answer to every command.
private struct OneWord: CommandRunner {
    let result: CommandResult

    func run(_ command: Command) async throws(HostError) -> CommandResult { result }
}

@Suite("The kernel's tables")
struct IPTablesTests {
    private func has(_ status: Int32, _ message: String = "") async throws -> Bool {
        let folder = try TemporaryFolder()
        for name in ["iptables-legacy", "iptables-legacy-save", "iptables-legacy-restore"] {
            try folder.write("", to: "usr/sbin/\(name)", mode: 0o700)
        }
        let tool = try await IPTables(
            backend: .legacy, family: .ipv4, toolbox: Toolbox(layout: Layout(root: folder.path)),
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
        "a tool that fails to run says nothing about the kernel",
        arguments: [
            "Another app is currently holding the xtables lock; still 0s 0us time ahead to have a chance to grab the lock...",
            "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Permission denied (you must be root)",
            "iptables: Resource temporarily unavailable.", "",
        ])
    func stumbles(_ message: String) async throws {
        await #expect(throws: HostError.self) { try await has(4, message) }
    }

    @Test("a table exists if the tool prints it")
    func present() async throws {
        #expect(try await has(0))
    }
}

/// A runner that counts the processes it runs.
private final class Counting: CommandRunner {
    let runs = Mutex(0)
    let version: String

    init(version: String = "") { self.version = version }

    func run(_ command: Command) async throws(HostError) -> CommandResult {
        runs.withLock { $0 += 1 }
        return CommandResult(status: 0, output: Array(version.utf8))
    }
}

@Suite("The backend that iptables uses")
struct BackendTests {
    private let folder: TemporaryFolder
    private var toolbox: Toolbox { Toolbox(layout: Layout(root: folder.path)) }

    init() throws { folder = try TemporaryFolder() }

    private func link(_ path: String, to target: String) throws {
        try folder.write("", to: path)
        try FileManager.default.removeItem(atPath: "\(folder.path)/\(path)")
        try FileManager.default.createSymbolicLink(atPath: "\(folder.path)/\(path)", withDestinationPath: target)
    }

    @Test(
        "the links show it without running a process",
        arguments: [
            ("xtables-nft-multi", Backend.nft), ("xtables-legacy-multi", .legacy), ("iptables-nft", .nft),
            ("iptables-legacy", .legacy),
        ])
    func links(program: String, backend: Backend) async throws {
        try folder.write("", to: "usr/sbin/\(program)", mode: 0o700)
        try link("usr/sbin/iptables", to: "../../etc/alternatives/iptables")
        try link("etc/alternatives/iptables", to: "\(folder.path)/usr/sbin/\(program)")
        let runner = Counting()
        #expect(try await IPTables.backend(toolbox: toolbox, runner: runner) == backend)
        #expect(runner.runs.withLock { $0 } == 0)
    }

    @Test(
        "the program is run if no name shows it",
        arguments: [("iptables v1.8.9 (nf_tables)\n", Backend.nft), ("iptables v1.6.1\n", .legacy)])
    func version(text: String, backend: Backend) async throws {
        try folder.write("", to: "usr/sbin/xtables-multi", mode: 0o700)
        try link("usr/sbin/iptables", to: "xtables-multi")
        let runner = Counting(version: text)
        #expect(try await IPTables.backend(toolbox: toolbox, runner: runner) == backend)
        #expect(runner.runs.withLock { $0 } == 1)
    }

    @Test("commands under their full names are found without running a process", arguments: Backend.iptables)
    func fullNames(backend: Backend) async throws {
        for name in ["iptables", "ip6tables"] {
            for end in ["", "-save", "-restore"] {
                try folder.write("", to: "usr/sbin/\(name)-\(backend.rawValue)\(end)", mode: 0o700)
            }
        }
        let runner = Counting()
        for family in Family.allCases {
            let tools = try await IPTables(backend: backend, family: family, toolbox: toolbox, runner: runner)
            #expect(
                tools.main
                    == "\(folder.path)/usr/sbin/\(family == .ipv6 ? "ip6tables" : "iptables")-\(backend.rawValue)")
        }
        #expect(runner.runs.withLock { $0 } == 0)
    }
}
