/// The output to a terminal as a person would read it: without escape sequences.
package enum PtyScreen {
    /// Removes escape sequences (ECMA-48), bells and carriage returns; a backspace removes a character.
    package static func plain(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        var index = bytes.startIndex
        while index < bytes.endIndex {
            switch bytes[index] {
            case 0x1B:
                index = endOfSequence(bytes, from: index)
                continue
            case 0x08:
                if let last = text.last, last != 0x0A { text.removeLast() }
            case 0x07, 0x0D, 0x00:
                break
            default:
                text.append(bytes[index])
            }
            index += 1
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The first byte after the sequence that begins at `start`.
    private static func endOfSequence(_ bytes: [UInt8], from start: Int) -> Int {
        guard start + 1 < bytes.count else { return bytes.count }
        switch bytes[start + 1] {
        case UInt8(ascii: "["):
            // CSI: parameters and intermediates, then one final byte from @ to ~.
            let end = bytes[(start + 2)...].firstIndex { (0x40...0x7E).contains($0) }
            return end.map { $0 + 1 } ?? bytes.count
        case UInt8(ascii: "]"):
            // OSC: up to a bell or ESC \.
            let end = bytes[(start + 2)...].firstIndex { $0 == 0x07 || $0 == 0x1B }
            return end.map { bytes[$0] == 0x1B ? min($0 + 2, bytes.count) : $0 + 1 } ?? bytes.count
        case UInt8(ascii: "("), UInt8(ascii: ")"):
            return min(start + 3, bytes.count)
        default:
            return start + 2
        }
    }
}
