import Netfilter

/// The reader of nft's listings: the tables that it reads are written and read back as the same.
enum FuzzedTables {
    static func read(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        let tables: [NFTable]
        do { tables = try NFTable.tables(in: text) } catch {
            let lines = text.unicodeScalars.count { $0 == "\n" } + 1
            require((1...lines).contains(error.line), "line \(error.line) of \(lines): \(error)")
            require(error.description.isPrintable, "a control character in: \(error)")
            return
        }
        require(Set(tables.map(\.id)).count == tables.count, "a table twice")
        let written = tables.map(\.text).joined()
        require((try? NFTable.tables(in: written)) == tables, "written as other tables: \(written)")
        for table in tables { check(table) }
    }

    private static func check(_ table: NFTable) {
        let inLines = table.withElementsInLines
        require(inLines.withElementsInLines == inLines, "elements in lines, again: \(inLines.text)")
        require(
            (try? NFTable.tables(in: table.compactText).first?.withElementsInLines) == inLines,
            "compact, it is another table: \(table.compactText)")
        require(NFTable.differences(from: table, to: table).isEmpty, "differs from itself")
        for chain in table.chains {
            require(chain.header + chain.rules == chain.lines, "a line that is neither header nor rule")
            _ = chain.with(policy: .drop, rules: []).isInput
        }
        _ = table.filled(from: table.parts)
    }
}
