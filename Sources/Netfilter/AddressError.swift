/// Why a text is not an address or network that latchkey accepts, with the text.
package enum AddressError: Error, Hashable, Sendable {
    /// Neither an IPv4 nor an IPv6 address.
    case notAnAddress(String)
    /// An IPv4 address with a number above 255.
    case numberTooLarge(String, number: String)
    /// An IPv4 address with a leading zero, which some programs read as octal.
    case leadingZero(String, number: String)
    /// An IPv6 address with a zone (`%eth0`), which means nothing in a firewall rule.
    case zone(String)
    /// A non-ASCII character, such as a digit of another script that looks similar.
    case notASCII(String)
    /// A network where a single address is required.
    case network(String)
    /// The text after the slash is not a plain number.
    case badPrefixLength(String)
    /// A netmask (`/255.0.0.0`) instead of a prefix length.
    case netmask(String)
    /// A prefix length above 32 (IPv4) or 128 (IPv6).
    case prefixTooLong(String, longest: Int)
    /// An address inside a network where the network itself is required.
    case hostBits(String, network: String)
    /// An IPv4-mapped IPv6 address, which no packet has (RFC 4291 section 2.5.5).
    case mapped(String, ipv4: String)
    /// An address that is never a packet's source.
    case neverASource(String, kind: String)
}

extension AddressError: CustomStringConvertible {
    /// The text that was refused.
    package var text: String {
        switch self {
        case .notAnAddress(let text), .numberTooLarge(let text, _), .leadingZero(let text, _), .zone(let text),
            .notASCII(let text), .network(let text), .badPrefixLength(let text), .netmask(let text),
            .prefixTooLong(let text, _), .hostBits(let text, _), .mapped(let text, _), .neverASource(let text, _):
            text
        }
    }

    /// What is wrong and what to write instead, for people.
    package var message: String {
        let quoted = text.quoted()
        switch self {
        case .notAnAddress:
            return "\(quoted) is not an address; write it like 192.168.1.33 or 2001:db8::1."
        case .numberTooLarge(_, let number):
            return "\(quoted) is not an address: \(number.short) is more than 255."
        case .leadingZero(_, let number):
            return "\(quoted) is ambiguous: write \(number.withoutLeadingZeros.short), not \(number.short)."
        case .zone:
            return "\(quoted) contains an interface; remove the % and everything after it."
        case .notASCII:
            return "\(quoted) has a character that is not allowed in an address; type it again."
        case .network:
            return "\(quoted) is a network; write one address, without the slash."
        case .badPrefixLength:
            return "\(quoted) needs a number after the slash, as in 10.0.0.0/8."
        case .netmask:
            return "\(quoted) has a netmask; write a prefix length, as in 10.0.0.0/8."
        case .prefixTooLong(_, let longest):
            return "\(quoted): the number after the slash can be at most \(longest)."
        case .hostBits(_, let network):
            return "\(quoted) has host bits set: write \(text.prefix { $0 != "/" }) or \(network)."
        case .mapped(_, let ipv4):
            return "\(quoted) is IPv4 written as IPv6; write \(ipv4)."
        case .neverASource(_, let kind):
            return "\(quoted) is \(kind): no packet has it as its source."
        }
    }

    package var description: String { message }
}

extension String {
    /// A number of digits in plain form.
    fileprivate var withoutLeadingZeros: String {
        let digits = drop { $0 == "0" }
        return digits.isEmpty ? "0" : String(digits)
    }

    /// A number of any length, shortened so that a message stays on one line.
    fileprivate var short: String { count > 8 ? prefix(8) + "..." : self }
}
