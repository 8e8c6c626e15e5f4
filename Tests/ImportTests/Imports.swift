import Import
import Netfilter
import Policy
import Testing

/// Imports for tests: a program's rules in, answers out.
enum Imports {
    private static let builtIn = Result { try TemplateCatalog.builtIn() }

    static func catalog() throws -> TemplateCatalog { try builtIn.get() }

    /// The import of a program's rules.
    static func of(
        _ source: some FilterSource, _ machine: ImportMachine = ImportMachine(),
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> ImportResult {
        let result = try #require(
            try Importer.answers(from: source, catalog: catalog(), machine: machine), sourceLocation: sourceLocation)
        // Whatever is imported is printed as a file that latchkey reads back.
        let yaml = ImportText(result, from: "test").yaml
        let read = try AnswersFile.parse(yaml, file: "imported", catalog: catalog())
        #expect(read == result.answers, sourceLocation: sourceLocation)
        #expect(
            yaml.split(separator: "\n").filter { $0.hasPrefix("#") && !$0.contains("//") }.allSatisfy {
                $0.count <= 200
            })
        return result
    }

    /// iptables with rules for both families: lines of the filter table, without its head.
    static func iptables(_ ipv4: String, _ ipv6: String? = nil, policy: String = "DROP") throws -> IPTablesFilter {
        func set(_ lines: String) throws -> RuleSet {
            try RuleSet(parsing: "*filter\n:INPUT \(policy) [0:0]\n\(lines)\nCOMMIT\n", file: "rules")
        }
        return IPTablesFilter([.ipv4: try set(ipv4), .ipv6: try set(ipv6 ?? ipv4)])
    }

    /// A listing of nft.
    static func nft(_ listing: String) throws -> NFTablesFilter { NFTablesFilter(try NFTable.tables(in: listing)) }

    /// Networks by their text.
    static func networks(_ texts: String...) throws -> AddressList {
        AddressList(try texts.map { try CIDR(parsing: $0) })
    }
}
