/// A tool's output as text, and the text as the same bytes again, with any content.
///
/// A comment may contain any byte, UTF-8 or not, and other programs' text must be written back unchanged. A byte that
/// is not part of UTF-8 text is represented by one of the last 256 private characters of Unicode; if the text contains
/// such a character itself, each of its bytes is represented this way.
package enum DumpText {
    private static let first: UInt32 = 0x10_FF00

    /// The text that represents bytes.
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
                // Every value from there to 0x10FFFF is a scalar.
                if let scalar = Unicode.Scalar(first + UInt32(byte)) { scalars.append(scalar) }
                rest = rest.dropFirst()
            }
        }
        return String(scalars)
    }

    /// The bytes that a text represents.
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
