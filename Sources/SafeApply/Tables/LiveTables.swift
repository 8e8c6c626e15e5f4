import Host
import Netfilter

/// The kernel's nftables tables, through nft(8).
package struct LiveTables: Sendable {
    private let nft: String
    private let nsenter: String?
    private var runner: any CommandRunner

    /// Finds nft.
    ///
    /// - Parameters:
    ///   - toolbox: finds programs.
    ///   - runner: runs them.
    /// - Throws: `host` with `toolMissing` if nft is not installed.
    package init(toolbox: Toolbox, runner: any CommandRunner) throws(ChangeError) {
        nft = try ChangeError.wrap { () throws(HostError) in try toolbox.need("nft") }
        nsenter = toolbox.find("nsenter")
        self.runner = runner
    }

    /// The same program in a throwaway network without rules.
    ///
    /// - Returns: nil if the kernel does not allow such a network.
    package func inThrowawayNetwork() -> LiveTables? {
        guard let nsenter, let network = try? ThrowawayNetwork() else { return nil }
        var there = self
        there.runner = network.runner(nsenter: nsenter, over: runner)
        return there
    }

    /// The tables of these names that exist.
    ///
    /// - Parameters:
    ///   - names: the names.
    ///   - known: sets whose elements need not be read again, because they were just loaded or read; listing many takes
    ///     as long as loading them. Where the table has none but these, only the rest of it is read.
    /// - Returns: the tables, without the counts of their counters, in the order of the names.
    /// - Throws: `host` if nft fails for another reason than a missing table; `refused` if it prints something else.
    package func read(_ names: [NFTable.Name], knowing known: [NFTable] = []) async throws(ChangeError) -> [NFTable] {
        var tables: [NFTable] = []
        let sets = known.flatMap(\.parts).filter(\.isOwnSet)
        for name in names {
            if !sets.isEmpty, name == .latchkey {
                guard let listing = try await listWithoutElements(["-s"], name) else { continue }
                let read = try Self.parsed(listing).compactMap { $0.filled(from: sets) }
                guard read.isEmpty else {
                    tables += read
                    continue
                }
            }
            if let listing = try await list(["-s"], name) { tables += try Self.parsed(listing) }
        }
        return tables
    }

    /// All tables.
    ///
    /// - Throws: `host` if nft fails; `refused` if it prints something else.
    package func readAll() async throws(ChangeError) -> [NFTable] {
        let result = try await run(["-s", "list", "ruleset"])
        return try Self.parsed(result.text)
    }

    /// A table with the handle of each rule (`nft -a`) at the end of its line.
    ///
    /// - Throws: as `read`.
    /// - Returns: nil if there is no such table.
    func readHandles(_ name: NFTable.Name) async throws(ChangeError) -> NFTable? {
        guard let listing = try await listWithoutElements(["-a", "-s"], name) else { return nil }
        // nft adds the handles of tables, sets and chains as comments too.
        let lines = listing.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix("\t\t") ? line : NFTable.withoutHandle(line)
        }
        return try Self.parsed(lines.joined(separator: "\n")).first
    }

    /// A table without the elements of its sets; nil if there is none.
    ///
    /// - Throws: as `read`.
    func readWithoutElements(_ name: NFTable.Name) async throws(ChangeError) -> NFTable? {
        guard let listing = try await listWithoutElements(["-s"], name) else { return nil }
        return try Self.parsed(listing).first
    }

    /// A table as nft lists it, with the counts of its counters; nil if there is none.
    ///
    /// - Throws: `host` if nft fails.
    func listWithCounters(_ name: NFTable.Name) async throws(ChangeError) -> String? { try await list([], name) }

    /// A set with its elements and the time that each has left, as JSON.
    ///
    /// - Throws: `host` if nft fails.
    func listAsJSON(set: String, of name: NFTable.Name) async throws(ChangeError) -> [UInt8] {
        try await run(["-j", "list", "set", name.family, name.name, set]).output
    }

    /// Loads a text in one transaction: all of it takes effect, or nothing.
    ///
    /// - Throws: `host` with `rulesRefused`, which has nft's message.
    package func load(_ text: String) async throws(ChangeError) {
        guard !text.isEmpty else { return }
        let command = Command(nft, ["-f", "-"], input: Array(text.utf8))
        let result = try await ChangeError.wrap { () async throws(HostError) in try await runner.run(command) }
        guard result.status != 0 else { return }
        throw .host(
            .rulesRefused(command: command.words, line: Self.line(in: result.message), message: result.message))
    }

    /// Tables as nft lists them once the kernel has them: for a moment they are loaded under another name, without effect
    /// (nft(8), flag dormant).
    ///
    /// latchkey's own sets stay empty there: they may be large, and the form of addresses is known.
    ///
    /// - Parameters:
    ///   - tables: the tables as they were written; those without parts are returned as they are.
    ///   - isThrowaway: whether this is a throwaway network, in which the copies may stay.
    /// - Returns: the same tables in nft's own form.
    /// - Throws: `host` with `rulesRefused` if the kernel does not take them.
    func listed(_ tables: [NFTable], isThrowaway: Bool) async throws(ChangeError) -> [NFTable] {
        let copies = tables.filter { !$0.parts.isEmpty }.map { table in
            NFTable(
                NFTable.Name(table.id.family, "\(table.id.name)-read"), lines: ["flags dormant"],
                parts: table.withEmptyOwnSets.parts)
        }
        guard !copies.isEmpty else { return tables }
        try await load(copies.map { "table \($0.id) {\n}\ndelete table \($0.id)\n\($0.text)" }.joined())
        let read = try await read(copies.map(\.id))
        if !isThrowaway { try await load(copies.map { "delete table \($0.id)\n" }.joined()) }
        return tables.map { table in
            guard
                let copy = read.first(where: {
                    $0.id.family == table.id.family && $0.id.name == "\(table.id.name)-read"
                })
            else { return table }
            return NFTable(table.id, lines: table.lines, parts: copy.parts.map { Self.withElements($0, of: table) })
        }
    }

    /// A set with the elements that it was written with.
    private static func withElements(_ set: NFTable.Part, of table: NFTable) -> NFTable.Part {
        guard set.isOwnSet, let elements = table.part(set.kind, set.name)?.addressElements else { return set }
        return set.with(elements: elements)
    }

    // MARK: - Helpers

    private func list(_ options: [String], _ name: NFTable.Name) async throws(ChangeError) -> String? {
        let words = options + ["list", "table", name.family, name.name]
        do { return try await run(words).text } catch .host(.toolFailed(_, _, let message))
            where message.contains("No such file or directory")
        { return nil } catch { throw error }
    }

    /// A table without the elements of its sets, which may be many; nil if there is none.
    private func listWithoutElements(_ options: [String], _ name: NFTable.Name) async throws(ChangeError) -> String? {
        // Asked for one table only, nft 1.0.6 reads the elements all the same.
        let listing = try await run(options + ["-t", "list", "ruleset", name.family]).text
        let lines = listing.split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(where: { $0.hasPrefix("table \(name) {") }),
            let end = lines[start...].firstIndex(of: "}")
        else { return nil }
        return lines[start...end].map { $0 + "\n" }.joined()
    }

    private func run(_ words: [String]) async throws(ChangeError) -> CommandResult {
        do throws(HostError) { return try await runner.check(Command(nft, words)) } catch {
            // libmnl's words for a kernel without nf_tables, or whose modules cannot be loaded.
            let signs = ["Protocol not supported", "Operation not supported", "Unable to initialize Netlink socket"]
            guard case .toolFailed(let command, _, let message) = error, signs.contains(where: message.contains) else {
                throw .host(error)
            }
            throw .host(.toolUnusable(command: command, reason: "this kernel has no nf_tables (\(message))"))
        }
    }

    private static func parsed(_ listing: String) throws(ChangeError) -> [NFTable] {
        do { return try NFTable.tables(in: listing).map(\.withElementsInLines) } catch {
            throw .refused(reason: "nft's listing cannot be parsed: \(error)")
        }
    }

    /// The line number in nft's message: `/dev/stdin:4:3-9: Error: ...`.
    private static func line(in message: String) -> Int? {
        message.firstMatch(of: #/:(\d+):\d+(-\d+)?: Error/#).flatMap { Int($0.1) }
    }
}
