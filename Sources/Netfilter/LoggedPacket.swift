/// A packet as the kernel describes it in its log, for the target LOG of iptables and the statement `log` of nft alike
/// (nf_log_syslog in the kernel's source).
package struct LoggedPacket: Hashable, Sendable {
    /// What the packet carries.
    package enum Content: Hashable, Sendable {
        /// TCP; `opens` says whether it is the first packet of a connection (SYN without ACK).
        case tcp(from: UInt16, to: UInt16, opens: Bool)
        case udp(from: UInt16, to: UInt16)
        /// ICMP, or ICMPv6 in an IPv6 packet.
        case icmp(type: UInt8, code: UInt8)
        /// Any other protocol, by the kernel's name in lower case or by its number: `esp`, `132`.
        case other(String)
        /// A fragment, or a packet that is too short to have ports or a type.
        case incomplete(String)
    }

    /// The interface it came in through.
    package let interface: String
    /// The interface it would have gone out through; nil for a packet to this machine.
    package let outInterface: String?
    /// Its source address.
    package let source: IPAddress
    /// Its destination address.
    package let destination: IPAddress
    /// What it carries.
    package let content: Content

    /// A packet from its parts.
    ///
    /// - Parameters:
    ///   - interface: the interface it came in through.
    ///   - outInterface: the interface it would have gone out through; nil for a packet to this machine.
    ///   - source: its source address.
    ///   - destination: its destination address, of the same family.
    ///   - content: what it carries.
    package init(
        interface: String, outInterface: String? = nil, source: IPAddress, destination: IPAddress, content: Content
    ) {
        self.interface = interface
        self.outInterface = outInterface
        self.source = source
        self.destination = destination
        self.content = content
    }

    /// The beginning of the lines about packets that latchkey's rules drop.
    package static let dropPrefix = "latchkey drop: "
    /// The same while a plan is observed, and its rules drop nothing.
    package static let observedPrefix = "latchkey would drop: "

    /// The family of its addresses.
    package var family: Family { source.family }

    /// The name of its protocol in lower case, or its number.
    package var protocolName: String {
        switch content {
        case .tcp: "tcp"
        case .udp: "udp"
        case .icmp: family == .ipv4 ? "icmp" : "icmpv6"
        case .other(let name), .incomplete(let name): name
        }
    }

    /// Its destination port; nil if it has none.
    package var port: UInt16? {
        switch content {
        case .tcp(_, let port, _), .udp(_, let port): port
        case .icmp, .other, .incomplete: nil
        }
    }

    /// Its type of ICMP; nil for other protocols.
    package var icmpType: UInt8? { if case .icmp(let type, _) = content { type } else { nil } }
}

// MARK: - Reading a line

extension LoggedPacket {
    /// The packet of a line of the kernel log; nil unless the line has the kernel's form and only printable ASCII.
    ///
    /// - Parameters:
    ///   - line: one message of the kernel, without its time.
    ///   - prefix: the beginning that the rule gives its lines.
    package init?(parsing line: some StringProtocol, prefix: String = dropPrefix) {
        guard line.utf8.count <= Self.longestLine, line.utf8.allSatisfy({ (0x20...0x7e).contains($0) }),
            line.hasPrefix(prefix)
        else { return nil }
        var words = LoggedWords(line.dropFirst(prefix.count))
        guard let interface = words.take("IN"), let outInterface = words.take("OUT"),
            Self.isInterface(interface), outInterface.isEmpty || Self.isInterface(outInterface)
        else { return nil }
        words.skip(["PHYSIN", "PHYSOUT", "MAC", "MACSRC", "MACDST", "VPROTO", "VID", "MACPROTO", "TUNNEL"])
        guard let source = words.take("SRC").flatMap({ try? IPAddress(parsing: $0) }),
            let destination = words.take("DST").flatMap({ try? IPAddress(parsing: $0) }),
            source.family == destination.family, let content = words.content(source.family)
        else { return nil }
        self.init(
            interface: interface, outInterface: outInterface.isEmpty ? nil : outInterface, source: source,
            destination: destination, content: content)
    }

    /// The kernel writes at most 1,024 bytes.
    private static let longestLine = 1_024

    /// The kernel accepts any name of up to 15 bytes without a blank, a slash or a colon (dev_valid_name).
    private static func isInterface(_ name: String) -> Bool {
        (1...15).contains(name.utf8.count) && !name.contains("/") && !name.contains(":")
    }
}

/// The words of a logged packet that have not been read yet.
private struct LoggedWords {
    private var words: ArraySlice<Substring>

    init(_ text: some StringProtocol) {
        words = String(text).split(separator: " ").map { $0 }[...]
    }

    /// The value of the next word, if that word has this key.
    mutating func take(_ key: String) -> String? {
        guard let word = words.first, word.hasPrefix("\(key)=") else { return nil }
        words.removeFirst()
        return String(word.dropFirst(key.count + 1))
    }

    /// Leaves out words with these keys.
    mutating func skip(_ keys: Set<String>) {
        while let word = words.first, let mark = word.firstIndex(of: "="), keys.contains(String(word[..<mark])) {
            words.removeFirst()
        }
    }

    /// Words without a value: flags of IP and TCP.
    private static let flags: Set<Substring> = [
        "CE", "DF", "MF", "CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN",
    ]
    /// Keys with a number, which say nothing about what is reported.
    private static let numbers: Set<String> = [
        "LEN", "TOS", "PREC", "TTL", "ID", "TC", "HOPLIMIT", "FLOWLBL", "SEQ", "ACK", "WINDOW", "RES", "URGP",
        "PARAMETER", "POINTER", "MTU", "SPI", "UID", "GID", "MARK",
    ]
    /// Keys that occur once.
    private static let facts: Set<String> = ["PROTO", "SPT", "DPT", "TYPE", "CODE"]

    /// What follows the addresses; nil if it is not in the kernel's form.
    mutating func content(_ family: Family) -> LoggedPacket.Content? {
        var facts: [String: String] = [:]
        var flags: Set<Substring> = []
        var isFragment = false
        var isShort = false
        while let word = words.popFirst() {
            if Self.flags.contains(word) {
                flags.insert(word)
            } else if word.hasPrefix("FRAG:") {
                guard let offset = Ascii.number(word.dropFirst(5), as: UInt32.self) else { return nil }
                isFragment = offset > 0
            } else if word == "TRUNCATED" {
                isShort = true
            } else if word.hasPrefix("ID:") {
                guard word.count == 11, word.dropFirst(3).utf8.allSatisfy(Ascii.isHexDigit) else { return nil }
            } else if word == "INCOMPLETE" {
                // Without a length, it means that more fragments follow.
                guard let length = words.first, length.first == "[" else { continue }
                isShort = true
                words.removeFirst()
                guard words.popFirst() == "bytes]", Ascii.number(length.dropFirst(), as: UInt32.self) != nil
                else { return nil }
            } else if word == "OPT" {
                guard let hasOffset = skipOptions() else { return nil }
                isFragment = isFragment || hasOffset
            } else if word.first == "[" {
                guard ["ICMP", "ICMPv6"].contains(facts["PROTO"]), skipEmbedded(word) else { return nil }
            } else if word.hasPrefix("GATEWAY=") {
                guard (try? IPAddress(parsing: String(word.dropFirst(8)))) != nil else { return nil }
            } else {
                guard let mark = word.firstIndex(of: "=") else { return nil }
                let key = String(word[..<mark])
                let value = String(word[word.index(after: mark)...])
                if Self.facts.contains(key) {
                    guard facts.updateValue(value, forKey: key) == nil else { return nil }
                } else {
                    guard Self.numbers.contains(key), Self.isNumber(value) else { return nil }
                }
            }
        }
        return Self.content(facts, flags, isWhole: !isFragment && !isShort, family)
    }

    private static func content(
        _ facts: [String: String], _ flags: Set<Substring>, isWhole: Bool, _ family: Family
    ) -> LoggedPacket.Content? {
        func number<Number: FixedWidthInteger>(_ key: String, _ type: Number.Type) -> Number? {
            facts[key].flatMap { Ascii.number($0, as: type) }
        }
        let ports = (number("SPT", UInt16.self), number("DPT", UInt16.self))
        switch (facts["PROTO"], ports) {
        case ("TCP", (let from?, let to?)):
            return .tcp(from: from, to: to, opens: flags.contains("SYN") && !flags.contains("ACK"))
        case ("UDP", (let from?, let to?)):
            return .udp(from: from, to: to)
        case (family == .ipv4 ? "ICMP" : "ICMPv6", _):
            if let type = number("TYPE", UInt8.self), let code = number("CODE", UInt8.self) {
                return .icmp(type: type, code: code)
            }
            return isWhole ? nil : .incomplete(family == .ipv4 ? "icmp" : "icmpv6")
        case ("TCP", _), ("UDP", _):
            return isWhole ? nil : .incomplete(facts["PROTO"] == "TCP" ? "tcp" : "udp")
        case ("UDPLITE", _): return .other("udplite")
        case ("ESP", _): return .other("esp")
        case ("AH", _): return .other("ah")
        case (let name?, _):
            return Ascii.number(name, as: UInt8.self).map { .other("\($0)") }
        case (nil, _):
            // The kernel does not name ESP and cut-off headers behind IPv6.
            return facts.isEmpty ? .incomplete("unknown") : nil
        }
    }

    /// A decimal or hexadecimal number.
    private static func isNumber(_ value: String) -> Bool {
        let digits = value.hasPrefix("0x") ? value.dropFirst(2) : value[...]
        return !digits.isEmpty && digits.utf8.allSatisfy(Ascii.isHexDigit)
    }

    /// Leaves out the options of IPv4, `(94040000)`, or the extension headers of IPv6, `( ... )`.
    ///
    /// - Returns: whether they belong to a later fragment; nil if they do not end.
    private mutating func skipOptions() -> Bool? {
        guard words.first?.first == "(" else { return nil }
        var hasOffset = false
        while let word = words.popFirst() {
            if word.hasPrefix("FRAG:"), word != "FRAG:0" { hasOffset = true }
            if word.hasSuffix(")") { return hasOffset }
        }
        return nil
    }

    /// Leaves out the packet that an ICMP error is about.
    private mutating func skipEmbedded(_ first: Substring) -> Bool {
        func depth(_ word: Substring) -> Int { word.count { $0 == "[" } - word.count { $0 == "]" } }
        var open = depth(first)
        while open > 0, let word = words.popFirst() { open += depth(word) }
        return open == 0
    }
}
