import Host
import Netfilter

/// Reads a hand-written file for nft(8): nft itself loads it in a throwaway network, and its listing is the plan.
package struct HandWrittenTables: Sendable {
    private let kernel: LiveTables

    /// The reader of such files.
    ///
    /// - Parameter kernel: the nft that will load the rules.
    package init(_ kernel: LiveTables) { self.kernel = kernel }

    /// The families of tables whose rules can be tried behind a gate.
    private static let families: Set<String> = ["inet", "ip", "ip6"]

    /// The tables that a file makes.
    ///
    /// - Parameters:
    ///   - text: the file's text.
    ///   - name: the file's name in messages.
    /// - Returns: the complete tables, as nft lists them.
    /// - Throws: `rulesRefused` with the line that nft names, or for a table that cannot be tried; `refused` if no
    ///   throwaway network can be made.
    package func tables(_ text: String, named name: String) async throws(ChangeError) -> [NFTable] {
        guard let there = kernel.inThrowawayNetwork() else {
            throw .host(.file(path: "(network namespace)", operation: "create one to read \(name)", errno: 1))
        }
        do { try await there.load(text) } catch .host(.rulesRefused(_, let line, let message)) {
            throw .rulesRefused(source: name, line: line, message: Self.plain(message))
        }
        func refuse(_ message: String) -> ChangeError { .rulesRefused(source: name, line: nil, message: message) }
        let listed = try await there.readAll()
        // nft lists `{ 22, 22 }` as `{ 22 }`, and that one, loaded again, as `22`: what it lists at last is the plan.
        do { try await there.load("flush ruleset\n" + listed.map(\.text).joined()) } catch .host(.rulesRefused) {
            throw refuse("nft lists it in a form that it cannot load")
        }
        let tables = try await there.readAll()
        guard !tables.isEmpty else { throw refuse("it makes no table") }
        for table in tables {
            guard Self.families.contains(table.id.family) else {
                throw refuse("the table \(table.id) is not of the family inet, ip or ip6, so it cannot be tried")
            }
            let part = table.parts.first { $0.name.hasPrefix(TableTrial.prefix) || $0.name == TableTrial.set.name }
            if let part {
                throw refuse("the name of the \(part.kind) \(part.name) in table \(table.id) is reserved for trials")
            }
        }
        return tables
    }

    /// nft's message on one line: what is wrong, and the text that it points to.
    static func plain(_ message: String) -> String {
        let lines = message.split(whereSeparator: \.isNewline)
        guard let place = lines.firstIndex(where: { $0.contains("Error: ") }) else {
            return message.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        }
        let reason = lines[place].split(separator: "Error: ", maxSplits: 1).last.map(String.init) ?? ""
        guard lines.indices.contains(place + 1) else { return reason }
        let shown = lines[place + 1].split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return shown.isEmpty ? reason : "\(reason), in: \(shown)"
    }
}
