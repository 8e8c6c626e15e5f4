import Testing

@testable import Netfilter

@Suite("Names that iptables-save prints without quotes")
struct UnquotedNameTests {
    @Test(
        "a name with a space is read as one word, and written so that it can be loaded",
        arguments: [
            (
                "-A INPUT -p tcp -m hashlimit --hashlimit-above 30/min --hashlimit-name ssh guard --hashlimit-srcmask 24 -j DROP",
                "-p tcp -m hashlimit --hashlimit-above 30/min --hashlimit-name \"ssh guard\" --hashlimit-srcmask 24 -j DROP"
            ),
            ("-A INPUT -i my wan ! -o a b c -j DROP", "-i \"my wan\" ! -o \"a b c\" -j DROP"),
            ("-A INPUT -j IDLETIMER --timeout 5 --label two words", "-j IDLETIMER --timeout 5 --label \"two words\""),
            ("-A INPUT -m set --match-set a src -j DROP", "-m set --match-set a src -j DROP"),
            ("-A INPUT -m comment --comment \"-i a b\" -i lo -j DROP", "-m comment --comment \"-i a b\" -i lo -j DROP"),
        ])
    func names(line: String, body: String) throws {
        let text = "*filter\n\(line)\nCOMMIT\n"
        let set = try RuleSet(dumped: text, file: "test")
        let rule = try #require(set["filter"]?.rules.first)
        #expect(rule.body == body)
        #expect(rule.isRestorable)
        #expect(set.text == text, "the printed text is unchanged")
        #expect(try Rule(parsing: "-A INPUT \(body)").body == body)
    }
}
