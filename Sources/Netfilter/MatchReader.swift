extension Match {
    /// The condition that these words represent: typed if its typed form has exactly the same bytes.
    init(reading words: ArraySlice<Word>) {
        if let typed = Self.typed(words), words.spell(typed.write) {
            self = typed
        } else {
            self = .unknown(Array(words))
        }
    }

    private static func typed(_ words: ArraySlice<Word>) -> Match? {
        let negated = words.first?.value == "!"
        let words = words.dropFirst(negated ? 1 : 0)
        guard words.count >= 2 else { return nil }
        let option = words[words.startIndex].value
        let value = words[words.startIndex + 1].value
        if option == "-m" { return negated ? nil : typedExtension(value, words.dropFirst(2)) }
        switch option {
        case "-s": return (try? CIDR(parsing: value)).map { .source($0, negated: negated) }
        case "-d": return (try? CIDR(parsing: value)).map { .destination($0, negated: negated) }
        case "-i": return .inInterface(value, negated: negated)
        case "-o": return .outInterface(value, negated: negated)
        case "-p": return .transport(value, negated: negated)
        default: return nil
        }
    }

    private static func typedExtension(_ name: String, _ words: ArraySlice<Word>) -> Match? {
        switch name {
        case "tcp": ports(.tcp, words)
        case "udp": ports(.udp, words)
        case "multiport": multiport(words)
        case "conntrack": conntrack(words)
        case "limit": limit(words.map(\.value))
        case "icmp":
            value(of: "--icmp-type", in: words).flatMap(typeAndCode).map { .icmp(type: $0, code: $1) }
        case "icmp6":
            value(of: "--icmpv6-type", in: words).flatMap(typeAndCode).map { .icmpv6(type: $0, code: $1) }
        case "hl": value(of: "--hl-eq", in: words).flatMap { Ascii.number($0, as: UInt8.self) }.map { .hopLimit($0) }
        case "comment": value(of: "--comment", in: words).map { .comment($0) }
        default: nil
        }
    }

    /// The value of an extension's only option.
    private static func value(of option: String, in words: ArraySlice<Word>) -> String? {
        guard words.count == 2, words[words.startIndex].value == option else { return nil }
        return words[words.startIndex + 1].value
    }

    private static func ports(_ transport: TransportProtocol, _ words: ArraySlice<Word>) -> Match? {
        var rest = words
        let source = portCondition("--sport", &rest)
        let destination = portCondition("--dport", &rest)
        return rest.isEmpty ? .ports(transport, source: source, destination: destination) : nil
    }

    /// Removes one side's ports from the front of the words, if they are there.
    private static func portCondition(_ option: String, _ rest: inout ArraySlice<Word>) -> PortCondition? {
        let negated = rest.first?.value == "!"
        let words = rest.dropFirst(negated ? 1 : 0)
        guard words.count >= 2, words[words.startIndex].value == option,
            let range = portRange(words[words.startIndex + 1].value)
        else { return nil }
        rest = words.dropFirst(2)
        return PortCondition(range, negated: negated)
    }

    /// A range as iptables writes it; one with port 0, which `PortRange` refuses, stays untyped.
    private static func portRange(_ text: some StringProtocol) -> PortRange? {
        guard let colon = text.utf8.firstIndex(of: Ascii.colon) else {
            return Ascii.number(text, as: UInt16.self).flatMap { try? PortRange(validating: $0, $0) }
        }
        guard let lower = Ascii.number(text[..<colon], as: UInt16.self),
            let upper = Ascii.number(text[text.utf8.index(after: colon)...], as: UInt16.self)
        else { return nil }
        return try? PortRange(validating: lower, upper)
    }

    private static func multiport(_ words: ArraySlice<Word>) -> Match? {
        let negated = words.first?.value == "!"
        let words = words.dropFirst(negated ? 1 : 0)
        guard words.count == 2, let side = PortSide(rawValue: words[words.startIndex].value),
            let ranges = list(words[words.startIndex + 1].value, of: portRange)
        else { return nil }
        return .multiport(side, ranges, negated: negated)
    }

    private static func conntrack(_ words: ArraySlice<Word>) -> Match? {
        let negated = words.first?.value == "!"
        guard let value = value(of: "--ctstate", in: words.dropFirst(negated ? 1 : 0)),
            let states = list(value, of: { ConnectionState(rawValue: String($0)) })
        else { return nil }
        return .conntrack(states, negated: negated)
    }

    /// A comma-separated list; nil if `read` does not accept one of the elements.
    private static func list<Element>(_ text: String, of read: (Substring) -> Element?) -> [Element]? {
        let parts = text.utf8.split(separator: Ascii.comma, omittingEmptySubsequences: false)
        var elements: [Element] = []
        elements.reserveCapacity(parts.count)
        for part in parts {
            guard let element = read(Substring(part)) else { return nil }
            elements.append(element)
        }
        return elements
    }

    private static func limit(_ values: [String]) -> Match? {
        guard values.count == 2 || (values.count == 4 && values[2] == "--limit-burst"), values[0] == "--limit" else {
            return nil
        }
        let parts = values[1].split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = Ascii.number(parts[0], as: UInt32.self),
            let unit = Rate.Unit(rawValue: String(parts[1]))
        else { return nil }
        if values.count == 2 { return .limit(Rate(count, per: unit)) }
        return Ascii.number(values[3], as: UInt32.self).map { .limit(Rate(count, per: unit), burst: $0) }
    }

    private static func typeAndCode(_ text: String) -> (UInt8, UInt8?)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let type = Ascii.number(parts[0], as: UInt8.self) else { return nil }
        if parts.count == 1 { return (type, nil) }
        guard parts.count == 2, let code = Ascii.number(parts[1], as: UInt8.self) else { return nil }
        return (type, code)
    }
}
