/// One IPv4 or IPv6 address.
package struct IPAddress: Hashable, Sendable {
    /// Whether the address is IPv4 or IPv6.
    package let family: Family
    /// The address in network byte order: 4 bytes or 16.
    package let bytes: [UInt8]

    /// An address from its bytes; nil unless there are 4 or 16 of them.
    package init?(bytes: [UInt8]) {
        switch bytes.count {
        case 4: family = .ipv4
        case 16: family = .ipv6
        default: return nil
        }
        self.bytes = bytes
    }

    /// An address as people write it: four decimal numbers, or any form of RFC 4291 section 2.2.
    ///
    /// Stricter than inet_aton(3): no leading zeros, no missing numbers, no zone, no blanks, ASCII only.
    package init(parsing text: String) throws(AddressError) {
        let characters = Array(text.utf8)
        if characters.contains(where: { $0 > 0x7f }) { throw .notASCII(text) }
        if characters.contains(Ascii.percent) { throw .zone(text) }
        if characters.contains(Ascii.slash) { throw .network(text) }
        if characters.contains(Ascii.colon) {
            family = .ipv6
            bytes = try Self.ipv6(characters[...], text)
        } else {
            family = .ipv4
            bytes = try Self.ipv4(characters[...], text)
        }
    }

    private static func ipv4(_ characters: ArraySlice<UInt8>, _ text: String) throws(AddressError) -> [UInt8] {
        if let bytes = plainIPv4(characters) { return bytes }
        // It is invalid; the error explains why to the person who wrote it.
        let parts = characters.split(separator: Ascii.dot, omittingEmptySubsequences: false)
        guard parts.count == 4, parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(Ascii.isDigit) }) else {
            throw .notAnAddress(text)
        }
        var bytes: [UInt8] = []
        for part in parts {
            let number = String(decoding: part, as: UTF8.self)
            if part.count > 1, part.first == Ascii.zero { throw .leadingZero(text, number: number) }
            guard let byte = UInt8(number) else { throw .numberTooLarge(text, number: number) }
            bytes.append(byte)
        }
        return bytes
    }

    /// Four numbers up to 255 without leading zeros; nil for anything else.
    private static func plainIPv4(_ characters: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4)
        var number = 0
        var digits = 0
        for character in characters {
            if character == Ascii.dot {
                guard digits > 0, bytes.count < 3 else { return nil }
                bytes.append(UInt8(number))
                (number, digits) = (0, 0)
            } else {
                guard Ascii.isDigit(character), digits == 0 || number != 0 else { return nil }
                number = number * 10 + Int(character - Ascii.zero)
                digits += 1
                guard number <= 255 else { return nil }
            }
        }
        guard digits > 0, bytes.count == 3 else { return nil }
        bytes.append(UInt8(number))
        return bytes
    }

    private static func ipv6(_ characters: ArraySlice<UInt8>, _ text: String) throws(AddressError) -> [UInt8] {
        var groups = characters.split(separator: Ascii.colon, omittingEmptySubsequences: false)
        // "::" leaves one empty group in the middle and two at an end; a single colon at an end leaves one there.
        let startsWithGap = groups.count > 2 && groups[0].isEmpty && groups[1].isEmpty
        if startsWithGap { groups.removeFirst() }
        let endsWithGap = groups.count > 1 && groups[groups.count - 1].isEmpty && groups[groups.count - 2].isEmpty
        if endsWithGap { groups.removeLast() }
        let endsInGap = endsWithGap || (startsWithGap && groups.count == 1)
        let gaps = groups.indices.filter { groups[$0].isEmpty }
        guard gaps.count <= 1,
            gaps.first != 0 || startsWithGap,
            gaps.first != groups.count - 1 || endsInGap
        else { throw .notAnAddress(text) }

        var bytes: [UInt8] = []
        var gapStart: Int?
        for (index, group) in groups.enumerated() {
            if group.isEmpty {
                gapStart = bytes.count
            } else if index == groups.count - 1, group.contains(Ascii.dot) {
                bytes += try ipv4(group, text)
            } else {
                guard group.count <= 4, let word = UInt16(String(decoding: group, as: UTF8.self), radix: 16),
                    group.allSatisfy(Ascii.isHexDigit)
                else { throw .notAnAddress(text) }
                bytes += [UInt8(word >> 8), UInt8(word & 0xff)]
            }
        }
        if let gapStart {
            // "::" represents at least one group (RFC 4291 section 2.2).
            guard bytes.count <= 14 else { throw .notAnAddress(text) }
            bytes.insert(contentsOf: [UInt8](repeating: 0, count: 16 - bytes.count), at: gapStart)
        }
        guard bytes.count == 16 else { throw .notAnAddress(text) }
        return bytes
    }
}

extension IPAddress: Comparable {
    /// IPv4 before IPv6, then by number.
    package static func < (left: IPAddress, right: IPAddress) -> Bool {
        if left.bytes.count != right.bytes.count { return left.bytes.count < right.bytes.count }
        return left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

extension IPAddress: CustomStringConvertible {
    /// The canonical form of RFC 5952, as iptables prints it.
    ///
    /// iptables prints what inet_ntop(3) of glibc does: `::ffff:1.2.3.4` and `::1.2.3.4` keep their IPv4 part.
    package var description: String {
        if family == .ipv4 { return Self.dotted(bytes[...]) }
        let words = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        let gap = Self.longestZeroRun(words)
        let hasIPv4Tail = gap == 0..<6 || (gap == 0..<5 && words[5] == 0xffff)
        var text = ""
        for index in 0..<8 {
            if gap.contains(index) {
                if index == gap.lowerBound { text += ":" }
            } else if hasIPv4Tail, index == 6 {
                return text + ":" + Self.dotted(bytes[12...])
            } else {
                text += (index == 0 ? "" : ":") + String(words[index], radix: 16)
            }
        }
        return gap.upperBound == 8 ? text + ":" : text
    }

    private static func dotted(_ bytes: ArraySlice<UInt8>) -> String {
        var text = ""
        for (index, byte) in bytes.enumerated() {
            if index > 0 { text += "." }
            text += String(byte)
        }
        return text
    }

    /// The first of the longest runs of at least two zero words; empty if there is none (RFC 5952 section 4.2).
    private static func longestZeroRun(_ words: [UInt16]) -> Range<Int> {
        var longest = 0..<0
        var start = 0
        for index in 0...words.count {
            if index < words.count, words[index] == 0 { continue }
            if index - start > max(longest.count, 1) { longest = start..<index }
            start = index + 1
        }
        return longest
    }
}
