import Host
import Netfilter

/// Reads a hand-written rule file: the tool itself loads it in a throwaway network, and its dump is the plan.
package struct HandWrittenRules: Sendable {
    private let kernel: LiveRules
    private let sets: String

    /// The reader of such files.
    ///
    /// - Parameter kernel: the tools that will load the rules.
    /// - Throws: `host`.
    package init(_ kernel: LiveRules) async throws(ChangeError) {
        self.kernel = kernel
        sets = try await ChangeError.wrap { () async throws(HostError) in try await kernel.sets?.dump() ?? "" }
    }

    /// The tables that a file names, as iptables prints them once they are loaded.
    ///
    /// - Parameters:
    ///   - text: the file's text.
    ///   - name: the file's name in messages.
    ///   - family: the rules' family.
    /// - Returns: the complete tables; nil if no throwaway network can be made.
    /// - Throws: `rulesRefused` with the line that the tool names, or that uses the list of a gate.
    package func rules(_ text: String, named name: String, _ family: Family) async throws(ChangeError) -> RuleSet? {
        guard let tool = kernel.tools[family], let there = await kernel.inThrowawayNetwork(sets: sets) else {
            return nil
        }
        try Self.requireOtherLists(in: text, named: name)
        // iptables-legacy-restore does not accept a last COMMIT without a line end.
        // A file made by iptables-save may name temporary entries, whose sets are not part of it.
        let whole = TemporaryParts.removed(fromRules: text.hasSuffix("\n") ? text : text + "\n")
        do {
            try await there.load(RestoreInput(text: whole, flush: true, counters: false), family)
        } catch .host(.rulesRefused(let command, let line, let message)) {
            let said = LiveRules.plain(message)
            let program = SecureFiles.name(of: command.first ?? tool.restore)
            throw .rulesRefused(
                source: name, line: line, message: said.isEmpty ? "\(program) failed without a message" : said)
        }
        let loaded = try await there.read(family)
        var names: [String] = []
        for line in text.split(separator: "\n") where line.hasPrefix("*") {
            let table = String(line.dropFirst().prefix { !$0.isWhitespace })
            if !names.contains(table) { names.append(table) }
        }
        // Without counters, as the tool reads it.
        let tables = names.map { name in
            let whole = RuleEdits.whole(name, of: loaded)
            return Table(name, chains: whole.chains, rules: whole.rules.map(\.withoutCounters))
        }
        return RuleSet(tables: tables)
    }

    /// Refuses rules that use the lists of the gates: their packets could keep a gate open, or nothing could open it.
    private static func requireOtherLists(in text: String, named name: String) throws(ChangeError) {
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.split(separator: " ")
            // A dump of a pending change holds the gates themselves, which are no part of the file's rules.
            guard words.first?.hasPrefix("#") != true, !line.contains("\"\(Gate.comment)\"") else { continue }
            let list = zip(words, words.dropFirst()).first { option, list in
                option == "--name" && Family.allCases.contains { list.hasPrefix(Gate(.recent, $0, seconds: 1).name) }
            }
            guard let list = list?.1 else { continue }
            throw .rulesRefused(
                source: name, line: index + 1,
                message: "the list \(String(list).quoted()) of -m recent is latchkey's own; choose another --name")
        }
    }
}
