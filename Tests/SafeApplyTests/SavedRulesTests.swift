import Netfilter
import TestSupport
import Testing

@testable import SafeApply

@Suite("What is saved with a kept change")
struct SavedRulesTests {
    private static func set(_ text: String) throws -> RuleSet { try RuleSet(parsing: text, file: "test") }

    private static let plan = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
    private static let nat = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n"

    private static let file = """
        *filter
        :INPUT ACCEPT [0:0]
        :FORWARD DROP [0:0]
        :mine - [0:0]
        -A INPUT -j mine
        -A INPUT -p tcp -m tcp --dport 8000 -j ACCEPT
        -A FORWARD -i wg0 -j ACCEPT
        COMMIT

        """

    @Test("a rules file keeps the tables and chains that are not latchkey's")
    func merged() throws {
        let file = try Self.set(Self.nat + Self.file)
        let input = SavedRules.text(
            SavedRules.merged(SavedRules.kept(try Self.set(Self.plan), scope: .inputChain), into: file))
        #expect(input.contains("MASQUERADE") && input.contains("-A FORWARD -i wg0") && input.contains(":FORWARD DROP"))
        #expect(
            input.contains(":INPUT DROP") && input.contains("-A INPUT -j mine\n-A INPUT -i lo")
                && !input.contains("8000"))
        let whole = SavedRules.text(
            SavedRules.merged(SavedRules.kept(try Self.set(Self.plan), scope: .tables), into: file))
        #expect(whole.contains("MASQUERADE") && !whole.contains("wg0") && !whole.contains("mine"))
    }

    @Test("each table is checked for drift within the scope of the last kept change to it")
    func recorded() throws {
        let input = SavedRules.kept(try Self.set(Self.plan), scope: .inputChain)
        let nat = SavedRules.kept(try Self.set(Self.nat), scope: .tables)
        let both = try Self.set(SavedRules.recorded(nat, over: input).text)
        #expect(both["filter"]?.isInputAlone == true)
        #expect(!RuleEdits.hasDrifted(live: try Self.set(Self.plan + Self.nat), from: both))
        #expect(RuleEdits.hasDrifted(live: try Self.set(Self.plan), from: both))
        #expect(RuleEdits.hasDrifted(live: try Self.set(Self.nat), from: both))
        let whole = SavedRules.recorded(SavedRules.kept(try Self.set(Self.file), scope: .tables), over: both)
        #expect(whole["filter"]?.isInputAlone == false && whole["nat"] != nil)
    }

    @Test("a file for --noflush is read back unchanged, in whatever order changes are kept")
    func withoutFlush() throws {
        let input = SavedRules.kept(try Self.set(Self.plan), scope: .inputChain)
        let whole = SavedRules.kept(try Self.set(Self.file + Self.nat), scope: .tables)
        for rules in [input, whole, SavedRules.merged(input, into: whole), SavedRules.merged(whole, into: input)] {
            let text = SavedRules.textWithoutFlush(rules)
            let again = SavedRules.withoutCommands(try Self.set(text))
            #expect(SavedRules.textWithoutFlush(again) == text)
            #expect(again.normalized() == rules.normalized())
        }
        #expect(SavedRules.textWithoutFlush(input).hasPrefix("*filter\n:INPUT DROP [0:0]\n-F INPUT\n"))
        #expect(SavedRules.textWithoutFlush(whole).hasPrefix("*filter\n-F\n-X\n:"))
    }

    @Test("a record of an earlier latchkey version, with one scope for all, is read")
    func earlierRecord() throws {
        let text =
            #"{"backend":"nft","id":"1","rules":{"ipv4":"*filter\n:INPUT DROP [0:0]\nCOMMIT\n"},"scope":"inputChain"}"#
        let kept = JSONText.decode(KeptRules.self, from: Array(text.utf8))
        #expect(try Self.set(kept?.rules.ipv4 ?? "").tables.allSatisfy(\.isInputAlone) == true)
    }

    @Test("the sets that rules use are selected, with their members and any content of an entry")
    func sets() throws {
        let rules = try Self.set(
            """
            *filter
            -A INPUT -m set ! --match-set both src,dst -j DROP
            -A INPUT -p tcp -j SET --add-set seen src --exist
            -A INPUT -m comment --comment "--match-set other" -j DROP
            COMMIT

            """)
        #expect(NamedSets.names(in: rules) == ["both", "seen"])
        let one = "create bad hash:ip comment\nadd bad 192.0.2.1 comment \"a  b\"\n"
        let list = "create inner list:set\nadd inner bad\ncreate both list:set\nadd both inner\n"
        let other = "create other hash:ip\nadd other 192.0.2.2\n"
        #expect(NamedSets.lines(of: ["both"], in: one + other + list) == one + list)
        #expect(NamedSets.lines(of: ["gone"], in: one + other + list).isEmpty)
    }
}
