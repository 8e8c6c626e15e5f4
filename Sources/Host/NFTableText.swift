/// A table of nf_tables as `nft list ruleset` prints it.
package struct NFTableText: Sendable, Equatable {
    /// `ip`, `ip6`, `inet`, `netdev`, `bridge` or `arp`.
    package let family: String
    /// The table's name.
    package let name: String
    /// The lines between the first and the last one.
    package let lines: [String]

    /// The table with its family: `inet firewalld`.
    package var title: String { "\(family) \(name)" }

    /// The tables in a listing, in its order.
    ///
    /// - Parameter listing: what `nft list ruleset` printed.
    /// - Returns: the tables.
    package static func split(_ listing: String) -> [NFTableText] {
        var tables: [NFTableText] = []
        var head: [Substring]?
        var lines: [String] = []
        for line in listing.split(separator: "\n", omittingEmptySubsequences: false) {
            if head == nil, line.hasPrefix("table ") {
                head = line.split(separator: " ")
                lines = []
            } else if line == "}", let words = head {
                if words.count >= 3 {
                    tables.append(NFTableText(family: String(words[1]), name: String(words[2]), lines: lines))
                }
                head = nil
            } else {
                lines.append(String(line))
            }
        }
        return tables
    }

    /// Whether the kernel skips it.
    package var isDormant: Bool { flags.contains("dormant") }

    /// Whether it has a form that only iptables-nft can load: matches and targets of xtables.
    package var hasXtables: Bool {
        lines.contains { line in ["# xt", "xt match", "xt target"].contains { line.contains($0) } }
    }

    /// Whether iptables-nft made it, by its name.
    package var isOfIPTables: Bool { ["ip", "ip6"].contains(family) && InputHookChain.ofIPTables.contains(name) }

    /// The table as another network can load it: without chains that rewrite addresses, and owned by no process.
    package var forRehearsal: String {
        var kept: [String] = []
        var block: [String] = []
        for line in lines {
            if block.isEmpty, line.hasPrefix(Self.flagsMark) {
                let others = flags.filter { !["owner", "persist"].contains($0) }
                if !others.isEmpty { kept.append("\tflags \(others.joined(separator: ","))") }
            } else if !block.isEmpty || line.hasPrefix("\tchain ") {
                block.append(line)
                guard line == "\t}" else { continue }
                if !block.contains(where: { Self.words($0).starts(with: ["type", "nat"]) }) { kept += block }
                block = []
            } else {
                kept.append(line)
            }
        }
        return "table \(title) {\n" + kept.map { "\($0)\n" }.joined() + "}\n"
    }

    /// How the line with the table's own flags begins; a set has flags too, one level below.
    private static let flagsMark = "\tflags "

    /// The table's own flags.
    private var flags: [String] {
        let line = lines.first { $0.hasPrefix(Self.flagsMark) } ?? ""
        return line.split { " \t,;".contains($0) }.dropFirst().map(String.init)
    }

    private static func words(_ line: String) -> [Substring] { line.split { $0 == " " || $0 == "\t" } }
}
