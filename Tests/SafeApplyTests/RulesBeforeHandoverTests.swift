import Host
import Logging
import Netfilter
import TestSupport
import Testing

@testable import SafeApply

@Suite("The rules recorded before other managers stop", .kernel, .root, .tool("nft"), .inTurn)
struct RulesBeforeHandoverTests {
    private static let managers: Set<String> = ["firewalld"]
    private let folder: TemporaryFolder
    private let environment: ChangeEnvironment

    init() throws {
        folder = try TemporaryFolder()
        let toolbox = Toolbox(layout: Layout(root: ""))
        environment = ChangeEnvironment(
            layout: Layout(root: folder.path), toolbox: toolbox,
            runner: try ThrowawayNetwork().runner(nsenter: toolbox.need("nsenter"), over: SystemRunner()),
            clock: .system, witness: .system(FactSource()), bootID: "boot", families: [.ipv4],
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func run(_ program: String, _ words: String..., input: String = "") async throws -> String {
        let command = Command(try environment.toolbox.need(program), words, input: Array(input.utf8))
        return try await environment.runner.check(command).text
    }

    private func rules() async throws -> [String] {
        try await run("iptables-nft-save").split(separator: "\n").filter { $0.hasPrefix("-A") }.map(String.init)
    }

    @Test("other programs' rules that a manager removed are loaded again, ahead of what is there")
    func loadedAgain() async throws {
        let others =
            "*filter\n:f2b-sshd - [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j f2b-sshd\n"
            + "-A f2b-sshd -s 203.0.113.9/32 -j REJECT --reject-with icmp-port-unreachable\nCOMMIT\n"
        _ = try await run("iptables-nft-restore", input: others)
        let record = await RulesBeforeHandover(of: Self.managers, in: environment)
        let before = try await rules()
        _ = try await run("iptables-nft-restore", input: "*filter\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n")
        #expect(try await record.loadOthers(than: Self.managers, in: environment) == 2)
        #expect(try await rules() == [before[0], "-A INPUT -i lo -j ACCEPT", before[1]])
    }

    @Test("a rule that iptables cannot print correctly is not loaded from its dump, where it would block everybody")
    func untruthful() async throws {
        _ = try await run(
            "nft", "-f", "-",
            input: """
                table ip filter {
                    set bad { type ipv4_addr; elements = { 198.51.100.3 }; }
                    chain INPUT { type filter hook input priority 0; policy accept; ip saddr @bad drop; }
                }
                """)
        #expect(try await rules() == ["-A INPUT -j DROP"], "iptables prints the rule without its set")
        let record = await RulesBeforeHandover(of: Self.managers, in: environment)
        _ = try await run("nft", "flush", "chain", "ip", "filter", "INPUT")
        await #expect(throws: ChangeError.self) { try await record.loadOthers(than: Self.managers, in: environment) }
        #expect(try await rules().isEmpty)
        await #expect(throws: ChangeError.self) { try await record.loadAll(in: environment) }
        #expect(try await rules().isEmpty)
    }
}
