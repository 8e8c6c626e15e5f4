import Netfilter
import Testing

@Suite("latchkey's own sets of nftables")
struct NFTableOwnSetsTests {
    private static let listing = """
        table inet latchkey {
        	set latchkey-4-0123456789abcdef {
        		type ipv4_addr
        		flags interval
        		elements = { 10.0.0.0/8, 192.0.2.7,
        			     198.51.100.0-198.51.100.6 }
        	}

        	set trial {
        		type ether_type
        		flags timeout
        		elements = { ip timeout 20s expires 19s }
        	}

        	chain input {
        		type filter hook input priority filter; policy drop;
        		ip saddr @latchkey-4-0123456789abcdef accept
        	}
        }

        """

    private func table(_ listing: String = Self.listing) throws -> NFTable {
        try #require(try NFTable.tables(in: listing).first)
    }

    @Test("however nft arranges the elements, each has a line of its own, and the text means the same")
    func lines() throws {
        let read = try table().withElementsInLines
        let set = try #require(read.parts.first)
        #expect(
            set.lines == [
                "type ipv4_addr", "flags interval", "elements = { 10.0.0.0/8,", "\t     192.0.2.7,",
                "\t     198.51.100.0-198.51.100.6 }",
            ])
        #expect(set.addressElements == ["10.0.0.0/8", "192.0.2.7", "198.51.100.0-198.51.100.6"])
        #expect(read.parts.dropFirst().elementsEqual(try table().parts.dropFirst()))
        #expect(try table(read.text).withElementsInLines == read)
        #expect(read.compactText.contains("\t\telements = { 10.0.0.0/8, 192.0.2.7, 198.51.100.0-198.51.100.6 }\n"))
        #expect(try table(read.compactText).withElementsInLines == read)
    }

    @Test(
        "elements that are more than addresses stay as they are",
        arguments: [
            "10.0.0.1 comment \"a, b\"", "10.0.0.1 timeout 1h expires 50m", "10.0.0.1 counter packets 0 bytes 0",
            "10.0.0.1 . 10.0.0.2", "10.0.0.1 : accept", "10.0.0.1 10.0.0.2",
        ])
    func others(element: String) throws {
        let set = NFTable.Part("set", "latchkey-4-x", lines: ["type ipv4_addr", "elements = { \(element) }"])
        #expect(set.addressElements == nil)
        let table = NFTable(.latchkey, parts: [set])
        #expect(table.withElementsInLines == table)
    }

    @Test("a set without elements stays without them")
    func empty() {
        let set = NFTable.Part("set", "latchkey-4-x", lines: ["type ipv4_addr", "flags interval"])
        #expect(set.addressElements == [])
        #expect(set.with(elements: []) == set && set.withoutElements == set)
    }

    @Test("a table that was listed without elements gets them only from the same known sets")
    func filled() throws {
        let whole = try table()
        var terse = whole
        terse.parts = terse.parts.map(\.withoutElements)
        #expect(terse.filled(from: whole.parts)?.part("set", "latchkey-4-0123456789abcdef") == whole.parts[0])
        #expect(terse.filled(from: []) == nil, "the set is not known")
        var other = whole.parts[0]
        other.lines[1] = "flags constant,interval"
        #expect(terse.filled(from: [other]) == nil, "the set was declared differently")
        terse.parts.append(NFTable.Part("set", "bad", lines: ["type ipv4_addr"]))
        #expect(terse.filled(from: whole.parts) == nil, "somebody added a set with unknown elements")
    }
}
