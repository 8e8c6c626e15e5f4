/// The policy for packets that no rule of a built-in chain decides.
package enum ChainPolicy: String, CaseIterable, Hashable, Sendable {
    case accept = "ACCEPT"
    case drop = "DROP"
}

/// The number of packets and bytes that matched a rule or a chain's policy.
package struct Counters: Hashable, Sendable {
    /// The number of packets.
    package let packets: UInt64
    /// The number of bytes.
    package let bytes: UInt64

    /// No packets yet.
    package static let zero = Counters(packets: 0, bytes: 0)

    /// Counters with the given numbers.
    package init(packets: UInt64, bytes: UInt64) {
        self.packets = packets
        self.bytes = bytes
    }

    /// Counters as iptables-save prints them: `[12:345]`; nil for anything else.
    init?(parsing text: String) {
        guard text.utf8.count >= 2, text.utf8.first == UInt8(ascii: "["), text.utf8.last == UInt8(ascii: "]"),
            let colon = text.utf8.firstIndex(of: Ascii.colon)
        else { return nil }
        let first = text.utf8.index(after: text.startIndex)
        let last = text.utf8.index(before: text.endIndex)
        guard let packets = Ascii.number(text[first..<colon], as: UInt64.self),
            let bytes = Ascii.number(text[text.utf8.index(after: colon)..<last], as: UInt64.self)
        else { return nil }
        self.init(packets: packets, bytes: bytes)
    }

    /// As iptables-save prints them: `[12:345]`.
    package var text: String {
        if packets == 0, bytes == 0 { return "[0:0]" }
        return "[" + String(packets) + ":" + String(bytes) + "]"
    }
}

/// The declaration of a chain at the beginning of its table: `:INPUT DROP [0:0]`.
package struct Chain: Hashable, Sendable {
    /// The chain's name.
    package let name: String
    /// The policy of a built-in chain; nil for a user chain.
    package var policy: ChainPolicy?
    /// The policy's counters.
    package var counters: Counters

    /// A chain with its policy: nil for a user chain.
    package init(_ name: String, policy: ChainPolicy? = nil, counters: Counters = .zero) {
        self.name = name
        self.policy = policy
        self.counters = counters
    }

    /// The line that declares the chain.
    package var text: String { ":\(name) \(policy?.rawValue ?? "-") \(counters.text)" }

    /// The maximum length of a name in bytes (XT_EXTENSION_MAXNAMELEN).
    static let longestName = 28

    /// Whether iptables accepts this name for a chain: 1 to 28 bytes, no blank, no leading dash or exclamation mark.
    package static func isValidName(_ name: String) -> Bool {
        (1...longestName).contains(name.utf8.count) && name.utf8.first != Ascii.dash
            && name.utf8.first != UInt8(ascii: "!")
            && !hasBlankOrControl(name)
    }

    private static func hasBlankOrControl(_ name: String) -> Bool {
        // Unicode's tables are slow; hardly any name needs them.
        if name.utf8.allSatisfy({ $0 < 0x80 }) { return name.utf8.contains { $0 <= 0x20 || $0 == 0x7F } }
        return name.unicodeScalars.contains { $0.properties.isWhitespace || $0.properties.generalCategory == .control }
    }

    /// A table's built-in chains, in the order in which a packet passes them; nil for a table that does not exist.
    package static func builtIn(ofTable table: String) -> [String]? {
        switch table {
        case "filter", "security": ["INPUT", "FORWARD", "OUTPUT"]
        case "nat": ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]
        case "mangle": ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]
        case "raw": ["PREROUTING", "OUTPUT"]
        default: nil
        }
    }
}
