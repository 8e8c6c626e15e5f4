/// The ASCII characters of addresses, ports and rules, as bytes.
///
/// Swift's own `isNumber` and `Int(_:)` accept digits of other scripts and a leading plus; these do not.
enum Ascii {
    static let newline = UInt8(ascii: "\n")
    static let blank = UInt8(ascii: " ")
    static let quote = UInt8(ascii: "\"")
    static let apostrophe = UInt8(ascii: "'")
    static let hash = UInt8(ascii: "#")
    static let asterisk = UInt8(ascii: "*")
    static let comma = UInt8(ascii: ",")
    static let percent = UInt8(ascii: "%")
    static let dash = UInt8(ascii: "-")
    static let dot = UInt8(ascii: ".")
    static let slash = UInt8(ascii: "/")
    static let zero = UInt8(ascii: "0")
    static let colon = UInt8(ascii: ":")
    static let backslash = UInt8(ascii: "\\")

    static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    static func isHexDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// A number in plain digits without a leading zero; nil for anything else, and for numbers too large for `Number`.
    static func number<Number: FixedWidthInteger>(_ text: some StringProtocol, as type: Number.Type) -> Number? {
        var number: Number = 0
        var count = 0
        for digit in text.utf8 {
            guard isDigit(digit), count == 0 || number != 0 else { return nil }
            let (tens, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isStillTooLarge) = tens.addingReportingOverflow(Number(digit - zero))
            guard !isTooLarge, !isStillTooLarge else { return nil }
            number = sum
            count += 1
        }
        return count > 0 ? number : nil
    }
}
