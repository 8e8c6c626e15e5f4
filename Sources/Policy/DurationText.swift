/// A time as people write it: a number with a unit, such as `45s`, `5m`, `2h` or `1d`.
package enum DurationText {
    private static let units: [Character: Int] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]

    /// Reads a time.
    ///
    /// - Parameters:
    ///   - text: the text.
    ///   - allowed: the letters of the units that may be used.
    ///   - isUnitNeeded: whether a number alone is refused; otherwise it means seconds.
    /// - Returns: the seconds; nil for anything else, such as a sign, a blank or more than nine digits.
    package static func seconds(
        _ text: some StringProtocol, units allowed: String, isUnitNeeded: Bool = false
    ) -> Int? {
        let unit = text.last.flatMap { allowed.contains($0) ? units[$0] : nil }
        guard unit != nil || !isUnitNeeded, let number = number(unit == nil ? text[...] : text.dropLast()) else {
            return nil
        }
        return number * (unit ?? 1)
    }

    /// A number in one to nine ASCII digits: Int() would also accept a sign.
    static func number(_ digits: some StringProtocol) -> Int? {
        guard (1...9).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(digits)
    }
}
