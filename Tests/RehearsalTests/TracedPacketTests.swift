import Netfilter
import Policy
import Testing

@testable import Rehearsal

@Suite("What nft monitor trace prints")
struct TracedPacketTests {
    private static let header =
        "packet: iif \"eth0\" ether saddr 02:00:00:00:00:01 ip saddr 198.51.100.7 ip daddr 192.0.2.2 ip protocol tcp"
        + " ip length 60 tcp sport 42034 tcp dport 443 tcp flags == syn"
    private static func text(_ end: String) -> String {
        """
        trace id 0cbe5521 ip latchkey-trace prerouting \(header)
        trace id 0cbe5521 ip latchkey-trace prerouting rule meta nftrace set 1 (verdict continue)
        trace id 0cbe5521 ip latchkey-trace prerouting policy accept
        trace id 0cbe5521 inet latchkey input \(header)
        trace id 0cbe5521 inet latchkey input rule tcp dport 443 counter packets 3 bytes 180 accept comment "latchkey: service web" (verdict accept)
        trace id 77aa0001 inet firewalld filter_INPUT rule ct state established accept (verdict accept)
        trace id 0cbe5521 inet firewalld filter_INPUT \(header)
        trace id 0cbe5521 inet firewalld filter_INPUT rule tcp dport { 22, 443 } jump web (verdict jump web)
        \(end)

        """
    }

    private static func path(_ end: String) throws -> KernelPath {
        let packets = TracedPacket.read(text(end))
        #expect(packets.map(\.id) == ["0cbe5521", "77aa0001"])
        return try #require(packets.first).path
    }

    @Test("the last word about a packet decides: a policy")
    func policy() throws {
        let path = try Self.path("trace id 0cbe5521 inet firewalld filter_INPUT policy drop ")
        #expect(path.decision?.text == "table inet firewalld, chain filter_INPUT: policy drop")
        #expect(path.decision?.isOfOthers == true)
        #expect(
            path.steps.map(\.rule.listedText) == [
                #"table inet latchkey, chain input: tcp dport 443 counter accept comment "latchkey: service web""#,
                "table inet firewalld, chain filter_INPUT: tcp dport { 22, 443 } jump web",
            ])
    }

    @Test("the last word about a packet decides: a rule")
    func rule() throws {
        let path = try Self.path(
            "trace id 0cbe5521 inet firewalld web rule counter packets 0 bytes 0 reject with tcp reset (verdict drop)")
        #expect(path.decision?.text == "table inet firewalld, chain web: counter reject with tcp reset")
        #expect(path.decision?.rule?.verdict == .reject)
    }

    @Test("a rule that takes the packet away decides, and a number that the kernel uses again is another packet")
    func taken() throws {
        let end = """
            trace id 0cbe5521 ip proxy in rule tcp dport 443 synproxy mss 1460 (verdict stolen)
            trace id 0cbe5521 ip latchkey-trace prerouting \(Self.header.replacing("syn", with: "ack"))
            trace id 0cbe5521 inet firewalld filter_INPUT policy accept
            """
        let packets = TracedPacket.read(Self.text(end))
        #expect(packets.map(\.id) == ["0cbe5521", "77aa0001", "0cbe5521"])
        let path = try #require(packets.first).path
        #expect(path.decision?.text == "table ip proxy, chain in: tcp dport 443 synproxy mss 1460")
        #expect(path.isTaken && path.decision?.isAccepted == false && path.decision?.isOfOthers == true)
    }

    @Test("the chains that mark packets, at ingress and prerouting, are no part of the path")
    func marks() throws {
        let text = """
            trace id 0cbe5521 netdev latchkey-trace-ip ingress \(Self.header)
            trace id 0cbe5521 netdev latchkey-trace-ip ingress rule meta protocol ip meta nftrace set 1 (verdict continue)
            trace id 0cbe5521 netdev latchkey-trace-ip ingress policy accept
            trace id 0cbe5521 inet early first rule tcp dport 443 drop (verdict drop)

            """
        let path = try #require(TracedPacket.read(text).first).path
        #expect(path.steps.count == 1)
        #expect(path.decision?.text == "table inet early, chain first: tcp dport 443 drop")
    }

    @Test("of several tables that accept, latchkey's is named")
    func accepted() throws {
        let path = try Self.path("trace id 0cbe5521 inet firewalld web rule accept (verdict accept)")
        #expect(path.decision?.comment == "latchkey: service web")
    }

    @Test("a packet is told by its ends, its port and its type")
    func belongs() throws {
        let packet = try #require(TracedPacket.read(Self.text("")).first)
        func expectation(_ packet: PacketExpectation.Packet, from: String = "198.51.100.7") throws -> PacketExpectation
        {
            PacketExpectation(
                asking: packet, from: try IPAddress(parsing: from), to: try IPAddress(parsing: "192.0.2.2"))
        }
        #expect(packet.belongs(to: try expectation(.tcp(443))))
        #expect(!packet.belongs(to: try expectation(.tcp(44))))
        #expect(!packet.belongs(to: try expectation(.udp(443))))
        #expect(!packet.belongs(to: try expectation(.ping)))
        #expect(!packet.belongs(to: try expectation(.tcp(443), from: "198.51.100.8")))
    }

    @Test(
        "anything else is ignored", arguments: ["", "netlink: Error", "trace id 1 inet t", "trace id 1 inet t c rule"])
    func noise(text: String) {
        let events = TracedPacket.read(text).flatMap(\.events)
        #expect(events.isEmpty)
    }
}
