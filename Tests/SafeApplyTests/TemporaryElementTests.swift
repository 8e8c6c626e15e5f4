import Netfilter
import SafeApply
import Testing

@testable import SafeApply

@Suite("Elements of temporary entries")
struct TemporaryElementTests {
    private static let lists: [TemporaryElement.List] = [
        .allow, .block, .ports(PortSpec(range: PortRange(80), transport: .tcp)),
        .ports(PortSpec(range: PortRange(lower: 49_152, upper: 65_535), transport: .udp)),
    ]

    @Test("a set is known by its name, which is short enough for ipset", arguments: lists)
    func names(list: TemporaryElement.List) {
        #expect(TemporaryElement.List(Substring(list.word)) == list)
        #expect("\(TemporaryParts.setPrefix)\(list.word)-4".utf8.count <= 31)
    }

    @Test("other words are no lists", arguments: ["", "admin", "tcp", "tcp0", "sctp80", "tcp80_70", "tcp80/tcp"])
    func others(word: String) { #expect(TemporaryElement.List(Substring(word)) == nil) }

    @Test("a rule masks the source, and its set has the prefix length in its name")
    func rules() throws {
        func set(_ entry: TemporaryEntry) throws -> TemporarySet {
            TemporarySet(for: try #require(entry.elements.first))
        }
        let web = TemporaryEntry.Opening(ports: [try PortSpec(parsing: "80-81/tcp")], service: "web")
        let network = try set(TemporaryEntry(try CIDR(parsing: "203.0.113.0/25"), .allow, opening: web))
        #expect(network.name == "temporary-tcp80_81-ipv4-25")
        #expect(network.rule == "tcp dport 80-81 ip saddr & 255.255.255.128 @temporary-tcp80_81-ipv4-25 counter accept")
        let host = try set(TemporaryEntry(try CIDR(parsing: "2001:db8::7"), .block))
        #expect(host.rule == "ip6 saddr @temporary-block-ipv6-128 counter drop")
        for set in [network, host] { #expect(TemporarySet(named: set.name) == set) }
        for name in ["temporary", "temporary-admins-ipv4", "temporary-allow-ipv5-3", "latchkey-allow-ipv4-3"] {
            #expect(TemporarySet(named: name) == nil)
        }
    }

    @Test("elements with the same label are listed as one entry, with the longest time")
    func listed() throws {
        let (one, two) = (try CIDR(parsing: "203.0.113.9"), try CIDR(parsing: "198.51.100.0/24"))
        let ports = try ["443/tcp", "80/tcp"].map { try PortSpec(parsing: $0) }
        let entries = [
            TemporaryEntry(two, .block),
            TemporaryEntry(one, .allow, secondsLeft: 7),
            TemporaryEntry(one, .allow, opening: .init(ports: [ports[0]]), secondsLeft: 60),
            TemporaryEntry(one, .allow, opening: .init(ports: ports.sorted(), service: "web"), secondsLeft: 5),
        ]
        #expect(TemporaryEntry.listed(entries.flatMap(\.elements).reversed()) == entries)
        var some = entries[3].elements
        some[0].secondsLeft = nil
        #expect(TemporaryEntry.listed(some).map(\.secondsLeft) == [nil])
    }

    @Test("what nft lists is read, and an element without a comment is ignored")
    func listing() throws {
        let text = """
            {"nftables": [{"metainfo": {"version": "1.0.6"}}, {"set": {"family": "inet", "name": "x", "elem": \
            ["203.0.112.0", {"elem": {"val": "203.0.113.0", "timeout": 3600, "expires": 3599, "comment": "80/tcp"}}, \
            {"elem": {"val": "198.51.100.0", "comment": "service web"}}]}}]}
            """
        let set = try #require(TemporarySet(named: "temporary-tcp80-ipv4-24"))
        let listing = try #require(JSONText.decode(TemporarySetListing.self, from: Array(text.utf8)))
        let elements = listing.elements(of: set)
        #expect(elements.map { "\($0.source)" } == ["203.0.113.0/24", "198.51.100.0/24"])
        #expect(elements.map(\.secondsLeft) == [3_599, nil])
        #expect(elements.map(\.label) == ["80/tcp", "service web"])
        let empty = #"{"nftables": [{"metainfo": {}}, {"set": {"name": "x"}}]}"#
        #expect(JSONText.decode(TemporarySetListing.self, from: Array(empty.utf8))?.elements(of: set) == [])
    }
}
