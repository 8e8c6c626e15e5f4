import Netfilter

/// Tables that were made with nft(8) and that iptables neither shows nor changes.
package struct NFTables: Sendable {
    private let program: String
    private let runner: any CommandRunner

    /// The nft command, or nil where it is not installed.
    package init?(toolbox: Toolbox, runner: any CommandRunner) {
        guard let program = toolbox.find("nft") else { return nil }
        self.program = program
        self.runner = runner
    }

    /// All tables, such as `ip filter`, including those of iptables.
    ///
    /// - Throws: what running the tool throws.
    package func names() async throws(HostError) -> Set<String> {
        let listing = try await runner.check(Command(program, ["list", "tables"])).text
        return Set(listing.split(separator: "\n").compactMap { $0.hasPrefix("table ") ? String($0.dropFirst(6)) : nil })
    }

    /// All tables, without the numbers of their counters.
    ///
    /// - Throws: what running the tool throws; `toolFailed` for a listing that cannot be parsed.
    package func tables() async throws(HostError) -> [NFTable] {
        let command = Command(program, ["-s", "list", "ruleset"])
        let listing = try await runner.check(command).text
        do { return try NFTable.tables(in: listing) } catch {
            throw .toolFailed(command: command.words, status: 0, message: "\(error)")
        }
    }

    /// Loads what nft(8) reads, in one transaction.
    ///
    /// - Throws: `rulesRefused`, and what running the tool throws.
    package func load(_ text: String) async throws(HostError) {
        let command = Command(program, ["-f", "-"], input: Array(text.utf8))
        let result = try await runner.run(command)
        guard result.status != 0 else { return }
        throw .rulesRefused(
            command: command.words, line: nil, message: String(result.message.prefix { $0 != "\n" }))
    }

    /// Removes a table.
    ///
    /// - Parameter title: the table with its family.
    /// - Throws: what running the tool throws.
    package func delete(_ title: String) async throws(HostError) {
        let words = title.split(separator: " ").map(String.init)
        _ = try await runner.check(Command(program, ["delete", "table"] + words))
    }

    /// The tables besides iptables' and latchkey's own in which a chain decides about incoming packets, such as `inet filter`.
    ///
    /// Nothing is found where nft may not look.
    package func judgingInput() async -> [String] { Self.judgingInput(await inputChains()) }

    /// The same, from what nft printed.
    static func judgingInput(_ json: [UInt8]) -> [String] { judgingInput(InputHookChain.read(json)) }

    private static func judgingInput(_ chains: [InputHookChain]) -> [String] {
        let own = [NFTable.Name.latchkey, TemporaryParts.observedTable].map(\.description)
        return Set(chains.filter { !$0.isOfIPTables && !own.contains($0.tableTitle) }.map(\.tableTitle)).sorted()
    }

    /// The chains that decide about incoming packets, iptables' own too, in the order in which a packet passes them.
    ///
    /// Nothing is found where nft may not look.
    package func inputChains() async -> [InputHookChain] {
        guard let result = try? await runner.run(Command(program, ["-j", "list", "chains"])), result.status == 0 else {
            return []
        }
        return InputHookChain.read(result.output)
    }
}
