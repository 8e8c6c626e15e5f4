import Testing

@testable import Netfilter

@Suite("Dumps with arbitrary content")
struct DumpTextTests {
    @Test(
        "any bytes become text and the same bytes again",
        arguments: [
            [], Array("plain\n".utf8), Array("Grüße, 世界 🎉".utf8), [0xE9], Array("caf".utf8) + [0xE9, 0x0A],
            [0xFF, 0xFE],
            [0xC3], [0xE4, 0xB8], [0xF0, 0x9F, 0x8E], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
            Array("\u{10FF00}\u{10FFE9}".utf8), Array("\u{10FFE9}".utf8) + [0xE9, 0xC3, 0xBC], Array(0...255),
            [0xE9] + Array("ü".utf8) + [0x80],
        ] as [[UInt8]])
    func bytes(_ bytes: [UInt8]) {
        #expect(DumpText.bytes(DumpText.decode(bytes)) == bytes)
    }

    @Test("random bytes become text and the same bytes again", arguments: 0..<200)
    func random(seed: Int) {
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
        let bytes = (0..<64).map { _ -> UInt8 in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        #expect(DumpText.bytes(DumpText.decode(bytes)) == bytes)
    }

    @Test(
        "a rule that cannot be written by hand is preserved byte for byte",
        arguments: [
            Array("-A FORWARD -m comment --comment \"caf".utf8) + [0xE9] + Array("\" -j ACCEPT".utf8),
            Array("-A FORWARD -m comment --comment \"two\nlines\" -j ACCEPT".utf8),
            Array("[3:4] -A FORWARD -m comment --comment \"two\n\nmore\nlines\" -j ACCEPT".utf8),
            Array("-A FORWARD -m comment --comment \"\u{1B}[2J\" -j ACCEPT".utf8),
            Array("-A FORWARD -m recent --set --name 'x' --mask 255.255.255.255 --rsource".utf8),
            Array(":a_chain_with_a_name_that_is_longer_than_28_bytes - [0:0]".utf8),
            Array("-A FORWARD -m comment --comment \"\(String(repeating: "x", count: 12_000))\" -j ACCEPT".utf8),
        ])
    func odd(_ line: [UInt8]) throws {
        let dump = Array("*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n".utf8) + line + Array("\nCOMMIT\n".utf8)
        let rules = try RuleSet(dumped: DumpText.decode(dump), file: "dump")
        #expect(DumpText.bytes(rules.text) == dump)
        #expect(rules["filter"]?.chain("INPUT")?.policy == .drop)
        #expect(throws: RuleSetError.self) { try RuleSet(bytes: dump, file: "by hand") }
    }

    @Test(
        "a quotation mark that iptables-save did not write does not hide other rules",
        arguments: ["x\"y", "\"x", "x\"", "x\"y\"z"], ["", "[3:4] "])
    func quote(name: String, counters: String) throws {
        let odd = "\(counters)-A PREROUTING -m recent --set --name \(name) --mask 255.255.255.255 --rsource"
        let own = "\(counters)-A INPUT -m comment --comment \"latchkey: ssh\" -j ACCEPT"
        let text = """
            *mangle
            :PREROUTING ACCEPT [0:0]
            \(odd)
            \(odd)
            COMMIT
            *filter
            :INPUT DROP [0:0]
            \(own)
            COMMIT

            """
        let rules = try RuleSet(dumped: text, file: "dump")
        #expect(rules.text == text)
        #expect(rules["mangle"]?.rules.map(\.text) == [odd, odd])
        #expect(rules["mangle"]?.rules.contains(where: \.isRestorable) == false)
        #expect(rules["filter"]?.rules.map(\.text) == [own])
        #expect(rules["filter"]?.rules.allSatisfy(\.isRestorable) == true)
    }

    @Test(
        "a rule that iptables-restore would refuse or misread is recognized",
        arguments: [
            ("-m comment --comment \"two\nlines\" -j ACCEPT", false),
            ("-m comment --comment \"it\\'s \\\"odd\\\"\" -j ACCEPT", true),
            ("-m recent --set --name 'x' --rsource", true),
            ("-m recent --set --name x\"y --rsource", false),
            ("-j a_chain_with_a_name_that_is_longer_than_28_bytes", false),
            ("-m comment --comment \"\(String(repeating: "x", count: 12_000))\"", false),
        ])
    func restorable(body: String, isRestorable: Bool) throws {
        let set = try RuleSet(dumped: "*filter\n[0:0] -A INPUT \(body)\nCOMMIT\n", file: "dump")
        #expect(set["filter"]?.rules.map(\.isRestorable) == [isRestorable])
    }
}
