import Testing

@testable import Policy

/// The messages about a file's bytes, line by line.
private func complaints(_ bytes: [UInt8]) -> [String] {
    var mistakes = Mistakes(file: "f.yaml")
    _ = StrictYAML.read(bytes, mistakes: &mistakes)
    return mistakes.sorted.map(\.description)
}

private func complaints(_ text: String) -> [String] { complaints(Array(text.utf8)) }

/// The tree as one line, to compare with.
private func outline(_ node: YAMLNode?) -> String {
    guard let node else { return "nothing" }
    switch node.content {
    case .scalar(let text, let quoted): return quoted ? "'\(text)'" : text
    case .sequence(let items): return "[" + items.map(outline).joined(separator: ",") + "]"
    case .mapping(let entries):
        return "{" + entries.map { "\(outline($0.key)):\(outline($0.value))" }.joined(separator: ",") + "}"
    case .refused: return "refused"
    }
}

@Suite("Strict YAML: accepted input")
struct StrictYAMLReadingTests {
    @Test(
        "mappings, lists and text are read, and text stays text",
        arguments: [
            ("a: 1\nb: [x, 'y', \"z\"]\n", "{a:1,b:[x,'y','z']}"),
            ("a:\n  - 1\n  - b: 2\n    c: {d: e}\n", "{a:[1,{b:2,c:{d:e}}]}"),
            ("a:\n- no\n- on\n- 0x16\n- 022\n- 1_000\n- 1e3\n- ~\n- 22.0\n", "{a:[no,on,0x16,022,1_000,1e3,~,22.0]}"),
            ("---\na: b # a comment\n...\n", "{a:b}"),
            ("a: b\r\nc: d\r\n", "{a:b,c:d}"),
            ("\u{feff}a: b\n", "{a:b}"),
            ("a:\n", "{a:}"),
            ("a: \"2001:db8::/64\"\n", "{a:'2001:db8::/64'}"),
            ("# سلام\u{200c}\na: été\n", "{a:été}"),
            ("[[[[[[[[x]]]]]]]]", "[[[[[[[[x]]]]]]]]"),
            ("just text", "just text"),
        ])
    func reads(yaml: String, expected: String) {
        var mistakes = Mistakes(file: "f.yaml")
        let root = StrictYAML.read(Array(yaml.utf8), mistakes: &mistakes)
        #expect(outline(root) == expected)
        #expect(mistakes.isEmpty, "\(mistakes.sorted)")
    }

    @Test("a value has its line and column, also after a line with wide characters and CRLF line ends")
    func marks() throws {
        var mistakes = Mistakes(file: "f.yaml")
        let yaml = "# größer 🙂\r\na: b\r\nc: [é, {d: e}]\r\n"
        let root = try #require(StrictYAML.read(Array(yaml.utf8), mistakes: &mistakes))
        let keys = mistakes.mapping(root, known: ["a", "c"], what: "a test")
        let mapping = try #require(keys)
        let list = try #require(mapping["c"])
        #expect([list.line, list.column] == [3, 4])
        #expect(list.text == "[é, {d: e}]")
        let read = mistakes.sequence(list, what: "c", example: "[]")
        let items = try #require(read)
        #expect([items[1].line, items[1].column] == [3, 8])
        #expect(mapping.key("c")?.column == 1)
    }
}

@Suite("Strict YAML: refused input")
struct StrictYAMLRefusalTests {
    @Test(
        "each unsupported YAML feature is reported with its line",
        arguments: [
            ("a: &x 1\nb: 2\n", ["f.yaml:1: \"&x 1\" has an anchor (&); anchors are not supported. Delete it."]),
            (
                "a: 1\nb: *x\n",
                ["f.yaml:2: \"*x\" is an alias (*); aliases are not supported. Write the value out."]
            ),
            (
                "a: 1\n<<: {b: 2}\n",
                ["f.yaml:2: Merge keys (<<) are not supported. Write the keys out."]
            ),
            ("a: !!str 1\n", ["f.yaml:1: \"!!str 1\" has a tag (!); tags are not supported. Delete it."]),
            ("a: ! 1\n", ["f.yaml:1: \"! 1\" has a tag (!); tags are not supported. Delete it."]),
            ("a: !!map {b: c}\n", ["f.yaml:1: \"!!map {b: c}\" has a tag (!); tags are not supported. Delete it."]),
            (
                "%YAML 1.1\n---\na: 1\n",
                ["f.yaml:1: Directives such as %YAML and %TAG are not supported. Delete them."]
            ),
            (
                "a: 1\n---\nb: 2\n",
                [
                    "f.yaml:2: A second document begins here; only one is supported."
                        + " Delete the line \"---\" and keep one document."
                ]
            ),
            (
                "a: 1\nb: 2\na: 3\n",
                ["f.yaml:3: The key \"a\" is already on line 1. Keep one of the two."]
            ),
            (
                "b: {a: 1, 'a': 3}\n",
                ["f.yaml:1: The key \"a\" is already on line 1. Keep one of the two."]
            ),
            ("? [a]\n: 1\n", ["f.yaml:1: \"[a]\" cannot be a key. A key is a word followed by a colon."]),
            (
                "a: |\n  text\n",
                [
                    "f.yaml:1: \"|\" is block text, which is not supported."
                        + " Write the text on one line, in double quotes."
                ]
            ),
            ("", ["f.yaml:1: The file is empty."]),
            ("# nothing but this\n", ["f.yaml:1: The file is empty."]),
            (
                "a: [1, 2\nb: 3\n",
                [
                    "f.yaml:2: \"b: 3\" is not valid YAML: did not find expected ',' or ']'"
                        + " while parsing a flow sequence that begins on line 1."
                ]
            ),
            (
                "a: 1\nb: [1, 2\n\n",
                [
                    "f.yaml:2: \"b: [1, 2\" is not valid YAML: did not find expected ',' or ']'"
                        + " while parsing a flow sequence."
                ]
            ),
            (
                "a: 1\nb c\n",
                [
                    "f.yaml:2: \"b c\" is not valid YAML: could not find expected ':'"
                        + " while scanning a simple key."
                ]
            ),
            (
                "a:\n\t- 1\n",
                [
                    "f.yaml:2: \"\\t- 1\" is not valid YAML: found character that cannot start any token"
                        + " while scanning for the next token. Indent with spaces, not with tabs."
                ]
            ),
        ] as [(String, [String])])
    func tricks(yaml: String, expected: [String]) {
        #expect(complaints(yaml) == expected)
    }

    @Test(
        "control and invisible characters are refused everywhere",
        arguments: [
            0, 1, 0xd, 0x1b, 0x7f, 0x85, 0x9b, 0xad, 0x200b, 0x200e, 0x202e, 0x2028, 0x2066, 0xe000, 0xfeff, 0xfffd,
            0xffff, 0xe0041,
        ] as [UInt32])
    func controls(number: UInt32) throws {
        let scalar = try #require(Unicode.Scalar(number))
        let said = "The character \(scalar.codePoint) is not allowed in this file."
        for yaml in ["b: 1\na: x\(scalar)y\n", "b: 1\n# x\(scalar)y\n", "b: 1\na: \"x\(scalar)\"\n"] {
            let lines = complaints(yaml)
            #expect(lines.count == 1)
            #expect(lines.first?.hasPrefix("f.yaml:2: \(said)") == true, "\(lines)")
        }
    }

    @Test(
        "a quoted text cannot contain an escaped control character either",
        arguments: [
            ("\\n", "\\n", "U+000A"), ("\\0", "\\u{0}", "U+0000"), ("\\e", "\\u{1b}", "U+001B"),
            ("\\u202e", "\\u{202e}", "U+202E"), ("\\t", "\\t", "U+0009"),
        ])
    func escapes(escape: String, shown: String, name: String) {
        #expect(
            complaints("b: 1\na: \"x\(escape)y\"\n") == [
                "f.yaml:2: \"x\(shown)y\" contains the character \(name)."
                    + " Control and invisible characters are not allowed: delete it."
            ])
    }

    @Test(
        "a tag is refused on every kind of value",
        arguments: ["! 1", "! \"1\"", "! '1'", "! [b]", "! {b: c}", "!", "!!int 1", "!x [b]", "!<tag:x> 1"])
    func tags(value: String) {
        let lines = complaints("a: \(value)\n")
        #expect(lines.count == 1)
        #expect(lines.allSatisfy { $0.contains("has a tag (!)") }, "\(lines)")
    }

    @Test("every mistake is reported at once, in line order")
    func together() {
        let lines = complaints("a: &x 1\nb: \u{7}\na: 2\nc: *x\nd: \"\\0\"\n")
        #expect(lines.map { $0.prefix(9) } == ["f.yaml:1:", "f.yaml:2:", "f.yaml:3:", "f.yaml:4:", "f.yaml:5:"])
    }

    @Test("bytes that are not UTF-8 are refused with their line")
    func encoding() {
        #expect(
            complaints([0x61, 0x3a, 0x20, 0x31, 0x0a, 0xc3, 0x28]) == [
                "f.yaml:2: This line is not UTF-8 text. Save the file as UTF-8."
            ])
        #expect(complaints([0xff, 0xfe, 0x61, 0]) == ["f.yaml:1: The file is UTF-16 text. Save the file as UTF-8."])
        // An overlong slash, a surrogate and a code point past the last one.
        for bytes: [UInt8] in [[0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]] {
            #expect(complaints(bytes).count == 1)
        }
    }
}

@Suite("Strict YAML: bombs")
struct StrictYAMLBombTests {
    @Test("an alias bomb is refused without expanding it", .timeLimit(.minutes(1)))
    func aliases() {
        var yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            yaml +=
                "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ") + "]\n"
        }
        yaml += "? [*a30, *a30]\n: x\n"
        let clock = ContinuousClock()
        var lines: [String] = []
        #expect(clock.measure { lines = complaints(yaml) } < .seconds(2))
        #expect(lines.count == 31 + 30 * 9 + 1)
    }

    @Test(
        "nesting is refused at the point where it is too deep",
        arguments: ["[", "{a: ", "- ", "[{a: ", "{? ", "[? "])
    func nesting(unit: String) {
        let clock = ContinuousClock()
        let count = 60_000 / unit.utf8.count
        var lines: [String] = []
        #expect(clock.measure { lines = complaints(String(repeating: unit, count: count)) } < .seconds(2))
        #expect(lines.count == 1, "\(lines.prefix(3))")
        #expect(complaints(String(repeating: "[", count: 9)).count == 1)
    }

    @Test("a file of 10 MB is refused unread, and so are 100,000 brackets")
    func size() {
        let clock = ContinuousClock()
        let large = [UInt8](repeating: 0x61, count: 10_000_000)
        var lines: [String] = []
        #expect(clock.measure { lines = complaints(large) } < .milliseconds(500))
        #expect(
            lines == [
                "f.yaml:1: The file has 10000000 bytes; the limit is 1048576. Check whether it is the right file."
            ])
        #expect(complaints(String(repeating: "[", count: 100_000)).count == 1)
        #expect(complaints("# " + String(repeating: "x", count: 65_534)) == ["f.yaml:1: The file is empty."])
    }

    @Test("after the first mistakes the rest is counted, not printed")
    func many() {
        var mistakes = Mistakes(file: "f.yaml")
        _ = StrictYAML.read(Array(String(repeating: "- *x\n", count: 1000).utf8), mistakes: &mistakes)
        let lines = DataErrors(mistakes.sorted).description.split(separator: "\n")
        #expect(lines.count == 101)
        #expect(lines.last == "and 900 more mistakes.")
    }
}
