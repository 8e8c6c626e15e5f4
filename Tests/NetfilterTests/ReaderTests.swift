import Testing

@testable import Netfilter

@Suite("Hand-written files")
struct ReaderTests {
    private func filter(_ lines: String) -> String { "*filter\n\(lines)\nCOMMIT\n" }

    @Test(
        "input that iptables-restore accepts is accepted, and keeps its spelling",
        arguments: [
            "", "# only a comment", "\n\n", "*filter\nCOMMIT", "*filter  \nCOMMIT\n",
            "*nat\n:PREROUTING ACCEPT\nCOMMIT\n",
            "*filter\n-A INPUT  -p tcp\t--dport 22 -j ACCEPT \nCOMMIT\n",
            "*filter\n# why\n\n--append INPUT --source 10.0.0.0/8 --jump ACCEPT\nCOMMIT\n# end\n",
            "*filter\n-P INPUT DROP\n-N mine\n-F INPUT\n-F\n-X\n-I INPUT 1 -j mine\n-D INPUT 1\n-Z\n-E mine yours\nCOMMIT\n",
            "*filter\n-A INPUT -m comment --comment \"a\"\"b\" -j ACCEPT\nCOMMIT\n",
            "*filter\nCOMMIT\n*filter\n-A INPUT -j DROP\nCOMMIT\n", "*filter\n-A INPUT -j ACCEPT -s 10.0.0.1\nCOMMIT\n",
        ])
    func spelling(text: String) throws {
        #expect(try RuleSet(parsing: text, file: "mine").text == text)
    }

    @Test(
        "input that is not a rule set is refused, with the line, the text and what to do",
        arguments: [
            ("-A INPUT -j DROP\n", 1, "-A INPUT -j DROP", RuleSetError.Problem.outsideTable),
            ("COMMIT\n", 1, "COMMIT", .outsideTable),
            ("*filter\n-A INPUT -j DROP\n", 1, "*filter", .missingCommit),
            ("*filter\n*nat\nCOMMIT\n", 2, "*nat", .tableInsideTable),
            ("\n*broute\nCOMMIT\n", 2, "*broute", .unknownTable),
            ("*filter x\nCOMMIT\n", 1, "*filter x", .unknownTable),
            ("*filter\niptables -A INPUT\nCOMMIT\n", 2, "iptables -A INPUT", .unknownCommand),
            ("*filter\n \nCOMMIT\n", 2, " ", .unknownCommand),
            ("*filter\n COMMIT\n", 2, " COMMIT", .unknownCommand),
            (
                "*filter\n-A INPUT -m comment --comment \"x\nCOMMIT\n", 2, "-A INPUT -m comment --comment \"x",
                .unterminatedQuote
            ),
            ("*filter\n-A INPUT -m comment --comment 'x y'\nCOMMIT\n", 2, "'x", .apostrophe),
            ("*filter\n-A INPUT\u{0} -j DROP\nCOMMIT\n", 2, "-A INPUT\u{0} -j DROP", .controlCharacter),
            ("*filter\r\nCOMMIT\r\n", 1, "*filter\r", .controlCharacter),
            ("*filter\n-A INPUT -j \u{1b}[2J\nCOMMIT\n", 2, "-A INPUT -j \u{1b}[2J", .controlCharacter),
            ("*filter\n-A\nCOMMIT\n", 2, "-A", .missingChain),
            ("*filter\n-A INPUT -s\nCOMMIT\n", 2, "-s", .missingValue),
            ("*filter\n-A INPUT -j\nCOMMIT\n", 2, "-j", .missingValue),
            ("*filter\n-A !x -j DROP\nCOMMIT\n", 2, "!x", .badChainName),
            (
                "*filter\n:abcdefghijklmnopqrstuvwxyz123 - [0:0]\nCOMMIT\n", 2, "abcdefghijklmnopqrstuvwxyz123",
                .badChainName
            ),
            ("*filter\n-E old\nCOMMIT\n", 2, "-E old", .missingChain),
            ("*filter\n-E old !new\nCOMMIT\n", 2, "!new", .badChainName),
            ("*filter\n-4\nCOMMIT\n", 2, "-4", .unknownCommand),
            ("*filter\n-6 -A INPUT -j\nCOMMIT\n", 2, "-j", .missingValue),
            ("*filter\n:INPUT\nCOMMIT\n", 2, ":INPUT", .badPolicy),
            ("*filter\n:INPUT REJECT [0:0]\nCOMMIT\n", 2, "REJECT", .badPolicy),
            ("*filter\n:INPUT DROP [0:-1]\nCOMMIT\n", 2, "[0:-1]", .badCounters),
            ("*filter\n[1] -A INPUT\nCOMMIT\n", 2, "[1]", .badCounters),
            ("*filter\n:INPUT DROP [0:0] x\nCOMMIT\n", 2, ":INPUT DROP [0:0] x", .badDeclaration),
        ])
    func refusal(text: String, line: Int, evidence: String, problem: RuleSetError.Problem) throws {
        let error = #expect(throws: RuleSetError.self) { try RuleSet(parsing: text, file: "mine") }
        #expect(error == RuleSetError(file: "mine", line: line, text: evidence, problem: problem))
    }

    @Test("a line longer than iptables-restore's buffer is refused")
    func longLine() throws {
        let longest = "-A INPUT -m comment --comment " + String(repeating: "x", count: 10_239 - 30)
        #expect(try RuleSet(parsing: filter(longest), file: "mine").tables.count == 1)
        let error = #expect(throws: RuleSetError.self) { try RuleSet(parsing: filter(longest + "x"), file: "mine") }
        #expect(error?.problem == .lineTooLong)
    }

    @Test("bytes that are not UTF-8 are refused with their line")
    func notUTF8() throws {
        let error = #expect(throws: RuleSetError.self) {
            try RuleSet(bytes: Array("*filter\n# ".utf8) + [0xff, 0x0a], file: "mine")
        }
        #expect(error?.line == 2)
        #expect(error?.problem == .notUTF8)
    }

    @Test("every message says what to do, in lines of at most 80 columns", arguments: RuleSetError.Problem.allCases)
    func messages(problem: RuleSetError.Problem) {
        let error = RuleSetError(file: "mine", line: 7, text: "*filter", problem: problem)
        let lines = error.message.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.count <= 80 && $0.hasSuffix(".") })
        #expect(error.description == "mine:7: " + error.message)
    }
}
