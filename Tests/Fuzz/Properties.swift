/// Ends the process unless a property holds: for libFuzzer, the input is then a find.
///
/// - Parameters:
///   - holds: whether the property holds.
///   - property: what is wrong if it does not.
func require(_ holds: Bool, _ property: @autoclosure () -> String) {
    if !holds { fatalError(property()) }
}

extension String {
    /// Whether it has no character that could change how a terminal shows it, apart from line ends.
    var isPrintable: Bool {
        unicodeScalars.allSatisfy { $0 == "\n" || !($0.value < 0x20 || (0x7f..<0xa0).contains($0.value)) }
    }
}
