import Netfilter

// What the listing of another program's table says of it, and the form in which another network can load it.
extension NFTable {
    /// Whether the kernel skips it.
    package var isDormant: Bool { flags.contains("dormant") }

    /// Whether it has a form that only iptables-nft can load: matches and targets of xtables.
    package var hasXtables: Bool {
        parts.contains { part in
            part.lines.contains { line in ["# xt", "xt match", "xt target"].contains { line.contains($0) } }
        }
    }

    /// Whether iptables-nft made it, by its name.
    package var isOfIPTables: Bool { ["ip", "ip6"].contains(id.family) && InputHookChain.ofIPTables.contains(id.name) }

    /// The table as another network can load it: owned by no process.
    ///
    /// - Parameter hasNAT: whether chains that rewrite addresses are part of it.
    /// - Returns: the table.
    package func forRehearsal(hasNAT: Bool = false) -> NFTable {
        var copy = self
        let others = flags.filter { !["owner", "persist"].contains($0) }
        copy.lines = lines.filter { !$0.hasPrefix(Self.flagsMark) }
        if !others.isEmpty { copy.lines.append(Self.flagsMark + others.joined(separator: ",")) }
        copy.parts = parts.filter { hasNAT || !($0.hook?.hasPrefix("type nat ") ?? false) }
        return copy
    }

    /// How the line with the table's own flags begins.
    private static let flagsMark = "flags "

    /// The table's own flags.
    private var flags: [String] {
        let line = lines.first { $0.hasPrefix(Self.flagsMark) } ?? ""
        return line.split { " ,;".contains($0) }.dropFirst().map(String.init)
    }
}
