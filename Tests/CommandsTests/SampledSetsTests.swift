import Netfilter
import Testing

@testable import Commands

@Suite("Sets in a rehearsal")
struct SampledSetsTests {
    private static let elements = (0..<1_000).map { "10.0.\($0 / 100).\($0 % 100 * 2)"[...] }

    private func sampled(_ addresses: String...) throws -> SampledSets {
        SampledSets(try addresses.map { try IPAddress(parsing: $0) })
    }

    private func table(_ elements: [Substring]) -> NFTable {
        let set = NFTable.Part("set", "latchkey-4-x", lines: ["type ipv4_addr", "flags interval"])
        return NFTable(.latchkey, parts: [set.with(elements: elements)])
    }

    @Test("of a large set the first, the last and at most 200 elements stay, and all that packets need")
    func large() throws {
        let sample = try sampled("10.0.3.18", "10.0.3.19", "10.0.7.198", "192.0.2.1").table(table(Self.elements))
        let kept = try #require(sample.parts[0].addressElements)
        #expect(kept.count <= 200 && kept.count > 150)
        #expect(kept.first == Self.elements.first && kept.last == Self.elements.last)
        #expect(kept.contains("10.0.3.18") && kept.contains("10.0.7.198") && !kept.contains("10.0.3.19"))
        #expect(kept == Self.elements.filter(Set(kept).contains), "they stay in order")
    }

    @Test("a network that contains the address of a packet stays, and so does what cannot be read")
    func needed() throws {
        let special: [Substring] = ["10.9.0.0/16", "10.11.0.0-10.11.0.9"]
        let elements = Self.elements + special + (0..<500).map { "10.20.\($0 / 100).\($0 % 100)" }
        let kept = try sampled("10.9.7.7").table(table(elements)).parts[0].addressElements ?? []
        #expect(special.allSatisfy(kept.contains))
    }

    @Test("small sets and sets of others stay whole")
    func whole() throws {
        let small = table(Array(Self.elements.prefix(200)))
        #expect(try sampled("10.0.0.0").table(small) == small)
        var other = table(Self.elements)
        other.parts[0].name = "blocked"
        #expect(try sampled("10.0.0.0").table(other) == other)
    }

    @Test("commands for ipset keep everything but elements of large sets of latchkey's")
    func commands() throws {
        let head = "create latchkey-4-x hash:net family inet\ncreate blocked hash:ip family inet\n"
        let others = Self.elements.map { "add blocked \($0)\n" }.joined()
        let text = head + Self.elements.map { "add latchkey-4-x \($0)\n" }.joined() + others
        let sample = try sampled("10.0.3.18").commands(text)
        #expect(sample.hasPrefix(head) && sample.hasSuffix(others))
        #expect(sample.contains("add latchkey-4-x 10.0.3.18\n"))
        #expect(sample.split(separator: "\n").count { $0.hasPrefix("add latchkey-4-x ") } <= 200)
        #expect(try sampled().commands(head + others) == head + others)
    }
}
