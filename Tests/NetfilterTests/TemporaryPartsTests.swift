import Netfilter
import Testing

@Suite("Parts for temporary entries")
struct TemporaryPartsTests {
    private static let dump = """
        *filter
        :INPUT ACCEPT [0:0]
        :latchkey-temporary - [0:0]
        :f2b-sshd - [0:0]
        [3:180] -A INPUT -m comment --comment "latchkey: temporary" -j latchkey-temporary
        [1:60] -A INPUT -j f2b-sshd
        -A latchkey-temporary -i lo -j RETURN
        COMMIT

        """

    @Test("rules are the same without them, and are not latchkey's own")
    func rules() throws {
        let rules = try RuleSet(parsing: Self.dump, file: "dump")
        let rest = rules.withoutTemporary
        #expect(
            rest.text == """
                *filter
                :INPUT ACCEPT [0:0]
                :f2b-sshd - [0:0]
                [1:60] -A INPUT -j f2b-sshd
                COMMIT

                """)
        #expect(rest.withoutTemporary == rest)
        #expect(rules["filter"]?.rules.filter(\.isOwned) == [])
        #expect(rules["filter"]?.rules.filter(\.isTemporary).count == 2)
    }

    @Test("a file keeps its line numbers, and sets of others stay")
    func texts() {
        let lines = TemporaryParts.removed(fromRules: Self.dump).split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == Self.dump.split(separator: "\n", omittingEmptySubsequences: false).count)
        #expect(lines.filter { !$0.isEmpty }.count == 5)
        let sets = "create banned hash:ip\ncreate latchkey-temp-allow-4 hash:net\nadd latchkey-temp-allow-4 192.0.2.1\n"
        #expect(TemporaryParts.removed(fromSets: sets) == "create banned hash:ip\n")
    }

    @Test("latchkey's own table is the same without them; another table is not touched")
    func table() throws {
        func text(_ name: String, _ more: String, _ parts: String) -> String {
            "table inet \(name) {\n\(parts)\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n"
                + "\(more)\t\ttcp dport 22 accept\n\t}\n}\n"
        }
        let jump = "\t\tjump temporary comment \"latchkey: temporary\"\n"
        let parts =
            "\tset temporary-allow-ipv4-32 {\n\t\ttype ipv4_addr\n\t\tflags timeout\n\t}\n"
            + "\tchain temporary {\n\t\tiif \"lo\" return\n\t}\n"
        for name in ["latchkey", "other"] {
            let table = try #require(try NFTable.tables(in: text(name, jump, parts)).first)
            let rest = try #require(try NFTable.tables(in: text(name, "", "")).first)
            #expect(table.withoutTemporary == (name == "latchkey" ? rest : table))
            #expect(table.placeOfTemporaryJump(in: "input") == (name == "latchkey" ? 0 : nil))
            #expect(rest.withoutTemporary == rest)
        }
    }
}
