import Testing

@testable import Host

/// Types of attributes, as linux/netfilter/nf_tables.h counts them in an enum.
private enum Kind: UInt32 {
    case value = 1
    case name, elements
}

@Suite("Messages of netlink")
struct NetlinkMessageTests {
    private let message = NetlinkMessage(
        type: 0x0A0C, flags: 5, sequence: 7, body: NetlinkMessage.attribute(Kind.name, "trial"))

    @Test("messages are read back as they were written, with their padding")
    func roundTrip() {
        let bytes = message.bytes + message.bytes
        #expect(bytes.count == 2 * (16 + 12))
        let read = NetlinkMessage.messages(in: bytes[...])
        #expect(read.count == 2)
        for copy in read {
            #expect((copy.type, copy.flags, copy.sequence) == (message.type, message.flags, message.sequence))
            let name = NetlinkMessage.value(of: Kind.name, in: copy.body[...])
            #expect(name.map(Array.init) == Array("trial\0".utf8))
            #expect(NetlinkMessage.value(of: Kind.value, in: copy.body[...]) == nil)
        }
    }

    @Test("of a datagram that is cut off, the whole messages are read")
    func cutOff() {
        let bytes = message.bytes + message.bytes
        for length in 0..<bytes.count {
            #expect(NetlinkMessage.messages(in: bytes[..<length]).count == (length < 28 ? 0 : 1), "\(length) bytes")
        }
    }

    @Test("an attribute is found beside others, and only if it is whole")
    func attributes() {
        let bytes =
            NetlinkMessage.attribute(Kind.name, "latchkey")
            + NetlinkMessage.nested(
                Kind.elements, NetlinkMessage.attribute(Kind.value, [0x86, 0xDD]))
        let nested = NetlinkMessage.value(of: Kind.elements, in: bytes[...])
        let value = nested.flatMap { NetlinkMessage.value(of: Kind.value, in: $0) }
        #expect(value.map(Array.init) == [0x86, 0xDD])
        #expect(NetlinkMessage.value(of: Kind.elements, in: bytes.dropLast()) == nil)
    }

    @Test(
        "the kernel's negative codes are errors, and 0 is none",
        arguments: [(0, 0), (-2, 2), (-1, 1)] as [(Int32, Int32)])
    func codes(code: Int32, errorNumber: Int32) {
        let body = withUnsafeBytes(of: code) { Array($0) }
        #expect(NetlinkMessage(type: 2, flags: 0, sequence: 1, body: body).errorNumber == errorNumber)
    }
}
