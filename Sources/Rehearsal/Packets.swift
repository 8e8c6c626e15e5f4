import Netfilter

/// ICMP messages as bytes (RFC 792, RFC 4443).
enum Packets {
    /// An echo request.
    ///
    /// The kernel fills in the checksum of ICMPv6 (RFC 3542), not that of ICMP.
    static func echoRequest(_ family: Family, identifier: UInt16) -> [UInt8] {
        let type: UInt8 = family == .ipv4 ? 8 : 128
        let message = [type, 0, 0, 0] + bytes(identifier) + [0, 1] + Array("latchkey".utf8)
        return family == .ipv4 ? summed(message, at: 2) : message
    }

    /// Whether a packet read from a raw socket is the reply to `echoRequest`.
    ///
    /// A raw IPv4 socket also returns the IP header, an IPv6 one does not.
    static func isEchoReply(_ packet: ArraySlice<UInt8>, _ family: Family, identifier: UInt16) -> Bool {
        var message = packet
        if family == .ipv4 {
            guard let first = packet.first else { return false }
            message = packet.dropFirst(Int(first & 0x0f) * 4)
        }
        guard message.count >= 8 else { return false }
        return message.first == (family == .ipv4 ? 0 : 129)
            && Array(message.dropFirst(4).prefix(2)) == bytes(identifier)
    }

    /// "Port unreachable", about a datagram from the probe's target to the probe's source.
    static func portUnreachable(_ probe: Probe) -> [UInt8] {
        error(about: probe, head: probe.family == .ipv4 ? [3, 3, 0, 0, 0, 0, 0, 0] : [1, 4, 0, 0, 0, 0, 0, 0])
    }

    /// "Packet too big" (RFC 1191, RFC 4443 section 3.2), about a datagram from the probe's target to its source.
    static func tooBig(_ probe: Probe) -> [UInt8] {
        let size: [UInt8] = [0x05, 0x78]
        return error(
            about: probe, head: probe.family == .ipv4 ? [3, 4, 0, 0, 0, 0] + size : [2, 0, 0, 0, 0, 0] + size)
    }

    /// A neighbour solicitation to the address itself (RFC 4861 section 4.3), as sent by a host that already knew it.
    static func neighbourSolicitation(_ target: IPAddress) -> [UInt8] {
        [135, 0, 0, 0, 0, 0, 0, 0] + target.bytes
    }

    /// An ICMPv6 message of a type: a router's solicitation or advertisement without content (RFC 4861 sections 4.1 and
    /// 4.2), or an error.
    static func message(type: UInt8, _ probe: Probe) -> [UInt8] {
        let head = [type, 0, 0, 0, 0, 0, 0, 0]
        return switch type {
        case 133: head
        case 134: head + [0, 0, 0, 0, 0, 0, 0, 0]
        default: error(about: probe, head: head)
        }
    }

    /// Whether a packet read from a raw socket is the advertisement of an address (RFC 4861 section 4.4).
    static func isNeighbourAdvertisement(_ packet: ArraySlice<UInt8>, of target: IPAddress) -> Bool {
        packet.first == 136 && Array(packet.dropFirst(8).prefix(16)) == target.bytes
    }

    private static func error(about probe: Probe, head: [UInt8]) -> [UInt8] {
        let datagram = bytes(probe.port) + bytes(probe.sourcePort ?? 53) + [0, 8, 0, 0]
        switch probe.family {
        case .ipv4:
            let header: [UInt8] = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0] + probe.target.bytes + probe.source.bytes
            return summed(head + summed(header, at: 10) + datagram, at: 2)
        case .ipv6:
            let header: [UInt8] = [0x60, 0, 0, 0, 0, 8, 17, 64] + probe.target.bytes + probe.source.bytes
            return head + header + datagram
        }
    }

    /// The message with the Internet checksum (RFC 1071) of its bytes, an even number, at an offset that was zero.
    static func summed(_ message: [UInt8], at offset: Int) -> [UInt8] {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: message.count, by: 2) {
            sum += UInt32(message[index]) << 8
            if index + 1 < message.count { sum += UInt32(message[index + 1]) }
        }
        while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
        var result = message
        result.replaceSubrange(offset..<offset + 2, with: bytes(~UInt16(sum)))
        return result
    }

    private static func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }
}
