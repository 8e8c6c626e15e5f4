extension Match {
    /// The condition that these words stand for: typed if its typed form is written in the same bytes.
    init(reading words: [Word]) {
        if let typed = Self.typed(words), typed.text == words.spelled {
            self = typed
        } else {
            self = .unknown(words)
        }
    }

    private static func typed(_ words: [Word]) -> Match? {
        var values = words.map(\.value)[...]
        let negated = values.first == "!"
        if negated { values.removeFirst() }
        guard values.count >= 2 else { return nil }
        let option = values.removeFirst()
        let value = values.removeFirst()
        if option == "-m" { return negated ? nil : typedExtension(value, Array(values)) }
        switch option {
        case "-s": return (try? CIDR(parsing: value)).map { .source($0, negated: negated) }
        case "-d": return (try? CIDR(parsing: value)).map { .destination($0, negated: negated) }
        case "-i": return .inInterface(value, negated: negated)
        case "-o": return .outInterface(value, negated: negated)
        case "-p": return .transport(value, negated: negated)
        default: return nil
        }
    }

    private static func typedExtension(_ name: String, _ values: [String]) -> Match? {
        switch name {
        case "tcp": return ports(.tcp, values[...])
        case "udp": return ports(.udp, values[...])
        case "multiport": return multiport(values[...])
        case "conntrack": return conntrack(values[...])
        case "limit": return limit(values)
        case "icmp" where values.count == 2 && values[0] == "--icmp-type":
            return typeAndCode(values[1]).map { .icmp(type: $0, code: $1) }
        case "icmp6" where values.count == 2 && values[0] == "--icmpv6-type":
            return typeAndCode(values[1]).map { .icmpv6(type: $0, code: $1) }
        case "hl" where values.count == 2 && values[0] == "--hl-eq":
            return Ascii.number(values[1], as: UInt8.self).map { .hopLimit($0) }
        case "comment" where values.count == 2 && values[0] == "--comment":
            return .comment(values[1])
        default:
            return nil
        }
    }

    private static func ports(_ transport: TransportProtocol, _ values: ArraySlice<String>) -> Match? {
        var rest = values
        let source = portCondition("--sport", &rest)
        let destination = portCondition("--dport", &rest)
        return rest.isEmpty ? .ports(transport, source: source, destination: destination) : nil
    }

    /// Takes one side's ports off the front of the words, if they stand there.
    private static func portCondition(_ option: String, _ rest: inout ArraySlice<String>) -> PortCondition? {
        let negated = rest.first == "!"
        let words = rest.dropFirst(negated ? 1 : 0)
        guard words.count >= 2, words.first == option, let range = portRange(words[words.startIndex + 1]) else {
            return nil
        }
        rest = words.dropFirst(2)
        return PortCondition(range, negated: negated)
    }

    /// A range as iptables writes it; one with port 0, which `PortRange` refuses, stays untyped.
    private static func portRange(_ text: some StringProtocol) -> PortRange? {
        let ends = text.split(separator: ":", omittingEmptySubsequences: false)
        guard ends.count <= 2, let first = ends.first, let last = ends.last,
            let lower = Ascii.number(first, as: UInt16.self), let upper = Ascii.number(last, as: UInt16.self)
        else { return nil }
        return try? PortRange(validating: lower, upper)
    }

    private static func multiport(_ values: ArraySlice<String>) -> Match? {
        let negated = values.first == "!"
        let words = Array(values.dropFirst(negated ? 1 : 0))
        guard words.count == 2, let side = PortSide(rawValue: words[0]) else { return nil }
        let list = words[1].split(separator: ",", omittingEmptySubsequences: false)
        let ranges = list.compactMap { portRange($0) }
        return ranges.count == list.count ? .multiport(side, ranges, negated: negated) : nil
    }

    private static func conntrack(_ values: ArraySlice<String>) -> Match? {
        let negated = values.first == "!"
        let words = Array(values.dropFirst(negated ? 1 : 0))
        guard words.count == 2, words[0] == "--ctstate" else { return nil }
        let list = words[1].split(separator: ",", omittingEmptySubsequences: false)
        let states = list.compactMap { ConnectionState(rawValue: String($0)) }
        return states.count == list.count ? .conntrack(states, negated: negated) : nil
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
