import Testing

@testable import Netfilter

@Suite("Lines for one family, and renamed chains")
struct FamilyMarkTests {
    static let both = """
        *filter
        :INPUT ACCEPT [0:0]
        -4 -A INPUT -s 10.0.0.0/8 -j ACCEPT
        --ipv6 -A INPUT -s 2001:db8::/32 -j ACCEPT
        [1:2]  -4 -A INPUT -p tcp -j DROP
        -A INPUT -6 -p udp -j DROP
        -A INPUT -p esp --ipv4 -j DROP
        -6 -N six
        -4 -6 -A INPUT -j REJECT
        -A INPUT -i lo -j ACCEPT
        COMMIT

        """

    private static func rules(_ lines: String...) -> String {
        "*filter\n:INPUT ACCEPT [0:0]\n" + lines.map { $0 + "\n" }.joined() + "COMMIT\n"
    }

    @Test("every line is written back byte for byte", arguments: [Family.ipv4, .ipv6, nil])
    func bytes(family: Family?) throws {
        #expect(try RuleSet(parsing: Self.both, file: "mine", for: family).text == Self.both)
        #expect(try RuleSet(dumped: Self.both, file: "mine", for: family).text == Self.both)
        #expect(try RuleSet(bytes: Array(Self.both.utf8), file: "mine", for: family).text == Self.both)
    }

    @Test("each family has its own lines and those without a mark")
    func ownLines() throws {
        let four = try RuleSet(parsing: Self.both, file: "mine", for: .ipv4)
        let expectedFour = Self.rules(
            "-A INPUT -s 10.0.0.0/8 -j ACCEPT", "-A INPUT -p tcp -j DROP", "-A INPUT -p esp -j DROP",
            "-A INPUT -i lo -j ACCEPT")
        #expect(try four.normalized() == RuleSet(parsing: expectedFour, file: "four").normalized())
        let six = try RuleSet(parsing: Self.both, file: "mine", for: .ipv6)
        let expectedSix = Self.rules(
            "-A INPUT -s 2001:db8::/32 -j ACCEPT", "-A INPUT -p udp -j DROP", "-N six", "-A INPUT -i lo -j ACCEPT")
        #expect(try six.normalized() == RuleSet(parsing: expectedSix, file: "six").normalized())
    }

    @Test("without a family, a marked line belongs to neither")
    func unknownFamily() throws {
        let filter = try #require(try RuleSet(parsing: Self.both, file: "mine")["filter"])
        #expect(filter.rules.map(\.text) == ["-A INPUT -i lo -j ACCEPT"])
        #expect(filter.normalized()?.hasCommands == true)
    }

    @Test(
        "an option's value that looks like a mark is not one",
        arguments: [
            "-A INPUT -m comment --comment -4 -j DROP", "-A INPUT -m recent --set --name -6 --rsource -j DROP",
            "-A INPUT -j LOG --log-prefix -4", "-A INPUT -i -4 -j DROP",
        ])
    func values(line: String) throws {
        for family in Family.allCases {
            let set = try RuleSet(parsing: Self.rules(line), file: "mine", for: family)
            #expect(set["filter"]?.rules.map(\.text) == [line])
        }
    }

    @Test("a jump to a missing chain on a line for the other family is ignored")
    func danglingJump() throws {
        let text = Self.rules("-6 -A INPUT -j gone")
        try RuleSet(parsing: text, file: "mine", for: .ipv4).requireChains(file: "mine")
        #expect(throws: RuleSetError.self) {
            try RuleSet(parsing: text, file: "mine", for: .ipv6).requireChains(file: "mine")
        }
    }

    @Test("a renamed chain keeps its rules and the jumps to it", arguments: ["-E", "--rename-chain"])
    func renamed(command: String) throws {
        let text = Self.rules(
            ":old - [0:0]", "-A old -s 10.0.0.1/32 -j ACCEPT", "-A INPUT -p tcp -j old", "-A INPUT --jump old",
            "\(command) old new", "-A INPUT -g new")
        let set = try RuleSet(parsing: text, file: "mine")
        #expect(set.text == text)
        let expected = Self.rules(
            ":new - [0:0]", "-A new -s 10.0.0.1/32 -j ACCEPT", "-A INPUT -p tcp -j new", "-A INPUT --jump new",
            "-A INPUT -g new")
        #expect(try set.normalized() == RuleSet(parsing: expected, file: "expected").normalized())
    }

    @Test("a rename of an unknown chain, or to a name in use, is left to the tool")
    func notRenamed() throws {
        for lines in ["-E gone new", ":old - [0:0]\n-E old INPUT", ":old - [0:0]\n:new - [0:0]\n-E old new"] {
            let filter = try #require(try RuleSet(parsing: Self.rules(lines), file: "mine")["filter"])
            #expect(filter.normalized()?.hasCommands == true)
        }
    }
}
