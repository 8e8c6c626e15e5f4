import CLinux

/// One message of netlink(7): `struct nlmsghdr` of linux/netlink.h, and what follows it.
struct NetlinkMessage: Equatable {
    /// What it asks or answers (nlmsg_type).
    let type: UInt16
    /// NLM_F_ of linux/netlink.h (nlmsg_flags).
    let flags: UInt16
    /// The number that an answer repeats (nlmsg_seq).
    let sequence: UInt32
    /// What follows the header.
    let body: [UInt8]

    /// NLMSG_HDRLEN of linux/netlink.h: the size of `struct nlmsghdr`.
    private static let headerSize = MemoryLayout<nlmsghdr>.size

    /// The bytes of the message, in this machine's byte order; the kernel fills in the sender.
    var bytes: [UInt8] {
        Self.native(UInt32(Self.headerSize + body.count)) + Self.native(type) + Self.native(flags)
            + Self.native(sequence) + Self.native(UInt32(0)) + Self.padded(body)
    }

    /// The messages of one datagram; those before the first malformed one.
    static func messages(in bytes: ArraySlice<UInt8>) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var rest = bytes
        while let length: UInt32 = number(in: rest, at: 0), Int(length) >= headerSize, Int(length) <= rest.count,
            let type: UInt16 = number(in: rest, at: 4), let flags: UInt16 = number(in: rest, at: 6),
            let sequence: UInt32 = number(in: rest, at: 8)
        {
            let body = Array(rest.prefix(Int(length)).dropFirst(headerSize))
            messages.append(NetlinkMessage(type: type, flags: flags, sequence: sequence, body: body))
            rest = rest.dropFirst(aligned(Int(length)))
        }
        return messages
    }

    /// The error that an acknowledgement or the end of a listing begins with: 0, or an errno(3).
    ///
    /// It is `error` of `struct nlmsgerr` in linux/netlink.h, negative for an error.
    var errorNumber: Int32 {
        let code: Int32 = Self.number(in: body[...], at: 0) ?? 0
        return code == .min ? .max : abs(code)
    }

    // MARK: - Attributes

    /// One attribute (`struct nlattr` of linux/netlink.h) with its padding.
    static func attribute(_ type: some RawRepresentable<UInt32>, _ value: [UInt8]) -> [UInt8] {
        attribute(UInt16(truncatingIfNeeded: type.rawValue), value)
    }

    /// An attribute that consists of others.
    static func nested(_ type: some RawRepresentable<UInt32>, _ value: [UInt8]) -> [UInt8] {
        attribute(UInt16(truncatingIfNeeded: type.rawValue) | UInt16(NLA_F_NESTED), value)
    }

    /// A name, with the zero byte at its end.
    static func attribute(_ type: some RawRepresentable<UInt32>, _ name: String) -> [UInt8] {
        attribute(type, Array(name.utf8) + [0])
    }

    /// The value of the first attribute of a type, or nil.
    static func value(of type: some RawRepresentable<UInt32>, in bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var rest = bytes
        while let length: UInt16 = number(in: rest, at: 0), Int(length) >= attributeSize, Int(length) <= rest.count,
            let found: UInt16 = number(in: rest, at: 2)
        {
            if UInt32(found & ~UInt16(NLA_F_NESTED)) == type.rawValue {
                return rest.prefix(Int(length)).dropFirst(attributeSize)
            }
            rest = rest.dropFirst(aligned(Int(length)))
        }
        return nil
    }

    /// NLA_HDRLEN of linux/netlink.h: the size of `struct nlattr`.
    private static let attributeSize = MemoryLayout<nlattr>.size

    private static func attribute(_ type: UInt16, _ value: [UInt8]) -> [UInt8] {
        native(UInt16(attributeSize + value.count)) + native(type) + padded(value)
    }

    // MARK: - Numbers

    /// NLMSG_ALIGN and NLA_ALIGN of linux/netlink.h: the next multiple of 4.
    private static func aligned(_ length: Int) -> Int { (length + 3) & ~3 }

    private static func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: aligned(bytes.count) - bytes.count)
    }

    private static func native(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number) { Array($0) }
    }

    private static func number<Number: FixedWidthInteger>(in bytes: ArraySlice<UInt8>, at offset: Int) -> Number? {
        guard bytes.count >= offset + MemoryLayout<Number>.size else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) }
    }
}
