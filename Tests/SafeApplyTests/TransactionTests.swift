import Testing

@testable import SafeApply

@Suite("Messages of the tools")
struct ToolMessageTests {
    @Test(
        "an iptables message about rules becomes one line without iptables' own line number",
        arguments: [
            (
                "iptables-restore v1.8.9 (legacy): Couldn't load match `x':No such file\n\nError occurred at line: 2\n"
                    + "Try `iptables-restore -h' or 'iptables-restore --help' for more information.",
                "Couldn't load match `x':No such file"
            ),
            (
                "iptables-nft-restore v1.8.9 (nf_tables): \nline 2: RULE_APPEND failed (Invalid argument): rule in x",
                "RULE_APPEND failed (Invalid argument): rule in x"
            ), ("iptables-restore: line 3 failed", "iptables-restore: line 3 failed"),
        ])
    func plain(message: String, line: String) { #expect(LiveRules.plain(message) == line) }
}
