/// What a tool printed as text, and that text as bytes again, whatever the bytes are.
///
/// A comment may hold any byte, UTF-8 or not, and what other programs wrote has to come back as it was. A byte that is
/// not part of UTF-8 text stands as one of the last 256 private characters of Unicode meanwhile; where such a
/// character itself is written, each of its bytes does.
package enum DumpText {
    private static let first: UInt32 = 0x10_FF00

    /// The text that stands for bytes.
    package static func decode(_ bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self), !hasStandIn(text) { return text }
        var scalars = String.UnicodeScalarView()
        var rest = bytes[...]
        while let byte = rest.first {
            let length = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
            let piece = rest.prefix(length)
            if piece.count == length, let text = String(validating: piece, as: UTF8.self),
                text.unicodeScalars.count == 1, !text.unicodeScalars.contains(where: isStandIn)
            {
                scalars.append(contentsOf: text.unicodeScalars)
                rest = rest.dropFirst(length)
            } else {
                // Every value up to 0x10FFFF from there on is a scalar.
                if let scalar = Unicode.Scalar(first + UInt32(byte)) { scalars.append(scalar) }
                rest = rest.dropFirst()
            }
        }
        return String(scalars)
    }

    /// The bytes that a text stands for.
    package static func bytes(_ text: String) -> [UInt8] {
        guard hasStandIn(text) else { return Array(text.utf8) }
        return text.unicodeScalars.flatMap { scalar in
            isStandIn(scalar) ? [UInt8(scalar.value - first)] : Array(String(scalar).utf8)
        }
    }

    private static func hasStandIn(_ text: String) -> Bool {
        // Only the last characters of Unicode begin with this byte.
        text.utf8.contains(0xF4) && text.unicodeScalars.contains(where: isStandIn)
    }

    private static func isStandIn(_ scalar: Unicode.Scalar) -> Bool { scalar.value >= first }
}
