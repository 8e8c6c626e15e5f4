/// The two transport protocols whose ports latchkey opens.
package enum TransportProtocol: String, CaseIterable, Codable, Comparable, Sendable {
    case tcp
    case udp

    /// TCP first, as usual in lists.
    package static func < (left: TransportProtocol, right: TransportProtocol) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// One port or a range of consecutive ports, never empty and never with port 0.
package struct PortRange: Hashable, Sendable {
    /// The first port of the range.
    package let lower: UInt16
    /// The last port of the range.
    package let upper: UInt16

    /// A range of numbers already known to be ports; use a throwing initializer for external input.
    package init(lower: UInt16, upper: UInt16) {
        precondition(lower > 0 && lower <= upper, "a range of ports begins at 1 or later and ends no earlier")
        self.lower = lower
        self.upper = upper
    }

    /// A single number already known to be a port.
    package init(_ single: UInt16) {
        self.init(lower: single, upper: single)
    }

    /// A range of numbers from external input.
    package init(validating lower: UInt16, _ upper: UInt16) throws(PortError) {
        guard lower > 0, lower <= upper else {
            let text = lower == upper ? "\(lower)" : "\(lower)-\(upper)"
            throw lower == 0 || upper == 0 ? .zero(text) : .reversed(text, lower: lower, upper: upper)
        }
        self.init(lower: lower, upper: upper)
    }

    /// A port or a range as people write it: `80`, `60000-61000`.
    package init(parsing text: String) throws(PortError) {
        let ends = text.utf8.split(separator: Ascii.dash, omittingEmptySubsequences: false).map { String($0) ?? "" }
        guard let first = ends.first, let last = ends.last, ends.count <= 2 else { throw .notAPort(text) }
        let lower = try Self.port(first, in: text)
        let upper = try Self.port(last, in: text)
        guard lower <= upper else { throw .reversed(text, lower: lower, upper: upper) }
        self.init(lower: lower, upper: upper)
    }

    private static func port(_ digits: String, in text: String) throws(PortError) -> UInt16 {
        guard !digits.isEmpty, digits.utf8.allSatisfy(Ascii.isDigit) else { throw .notAPort(text) }
        if digits.utf8.allSatisfy({ $0 == Ascii.zero }) { throw .zero(text) }
        if digits.utf8.first == Ascii.zero { throw .leadingZero(text, number: digits) }
        guard let port = UInt16(digits) else { throw .tooLarge(text, number: digits) }
        return port
    }
}

extension PortRange: Comparable, CustomStringConvertible {
    /// By first port, then by last.
    package static func < (left: PortRange, right: PortRange) -> Bool {
        (left.lower, left.upper) < (right.lower, right.upper)
    }

    /// Whether the port is in the range.
    package func contains(_ port: UInt16) -> Bool { (lower...upper).contains(port) }

    /// The number of ports in it.
    package var count: Int { Int(upper) - Int(lower) + 1 }

    /// As people write it: `80`, `60000-61000`.
    package var description: String { lower == upper ? "\(lower)" : "\(lower)-\(upper)" }

    /// As iptables prints it: `80`, `60000:61000`.
    package var iptablesText: String { lower == upper ? String(lower) : String(lower) + ":" + String(upper) }

    /// The same ports in as few ranges as possible, ascending: overlapping and adjacent ranges are merged.
    package static func merged(_ ranges: some Sequence<PortRange>) -> [PortRange] {
        var merged: [PortRange] = []
        for range in ranges.sorted() {
            if let last = merged.last, Int(range.lower) <= Int(last.upper) + 1 {
                merged[merged.count - 1] = PortRange(lower: last.lower, upper: max(last.upper, range.upper))
            } else {
                merged.append(range)
            }
        }
        return merged
    }
}

/// Ports of one transport protocol: `8080/tcp`, `60000-61000/udp`.
package struct PortSpec: Hashable, Sendable {
    /// The ports.
    package let range: PortRange
    /// The protocol they belong to; 53/tcp and 53/udp are different ports.
    package let transport: TransportProtocol

    /// Ports of a protocol.
    package init(range: PortRange, transport: TransportProtocol) {
        self.range = range
        self.transport = transport
    }

    /// Ports as people write them, always with the protocol: `8080/tcp`.
    package init(parsing text: String) throws(PortError) {
        guard let slash = text.utf8.firstIndex(of: Ascii.slash) else {
            _ = try PortRange(parsing: text)
            throw .noProtocol(text)
        }
        let name = String(text[text.utf8.index(after: slash)...])
        guard let transport = TransportProtocol(rawValue: name) else {
            throw .unknownProtocol(text, name: name)
        }
        do {
            range = try PortRange(parsing: String(text[..<slash]))
        } catch {
            throw error.replacing(text: text)
        }
        self.transport = transport
    }
}

extension PortSpec: Comparable, CustomStringConvertible {
    /// By ports, then by protocol, so that 53/tcp and 53/udp are next to each other.
    package static func < (left: PortSpec, right: PortSpec) -> Bool {
        (left.range, left.transport) < (right.range, right.transport)
    }

    /// As people write it: `8080/tcp`.
    package var description: String { "\(range)/\(transport.rawValue)" }
}

extension PortError {
    /// The same mistake, for the longer text that contains this one.
    fileprivate func replacing(text: String) -> PortError {
        switch self {
        case .notAPort: .notAPort(text)
        case .zero: .zero(text)
        case .tooLarge(_, let number): .tooLarge(text, number: number)
        case .leadingZero(_, let number): .leadingZero(text, number: number)
        case .reversed(_, let lower, let upper): .reversed(text, lower: lower, upper: upper)
        case .noProtocol: .noProtocol(text)
        case .unknownProtocol(_, let name): .unknownProtocol(text, name: name)
        }
    }
}
