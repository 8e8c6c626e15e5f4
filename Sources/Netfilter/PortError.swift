/// Why a text is not a port, a range of ports or a port with its protocol, with the text.
package enum PortError: Error, Hashable, Sendable {
    /// Not a number or a range in plain digits.
    case notAPort(String)
    /// Port 0, to which no connection is possible (RFC 6335 section 6).
    case zero(String)
    /// A number above 65535.
    case tooLarge(String, number: String)
    /// A leading zero.
    case leadingZero(String, number: String)
    /// A range that ends before it begins.
    case reversed(String, lower: UInt16, upper: UInt16)
    /// A port without `/tcp` or `/udp`.
    case noProtocol(String)
    /// A protocol without ports, or an unknown one.
    case unknownProtocol(String, name: String)
}

extension PortError: CustomStringConvertible {
    /// The text that was refused.
    package var text: String {
        switch self {
        case .notAPort(let text), .zero(let text), .tooLarge(let text, _), .leadingZero(let text, _),
            .reversed(let text, _, _), .noProtocol(let text), .unknownProtocol(let text, _):
            text
        }
    }

    /// What is wrong and what to write instead, for people.
    package var message: String {
        let quoted = text.quoted()
        switch self {
        case .notAPort: return "\(quoted) is not a port; write it like 8080/tcp or 60000-61000/udp."
        case .zero: return "\(quoted) is not a port: ports are numbered from 1 to 65535."
        case .tooLarge(_, let number):
            let shown = number.count > 8 ? number.prefix(8) + "..." : number
            return "\(quoted) is not a port: \(shown) is more than 65535."
        case .leadingZero(_, let number):
            return "\(quoted): write \(String(number.prefix(8))) without the leading zero."
        case .reversed(_, let lower, let upper):
            return "\(quoted) is backwards; write \(upper)-\(lower)."
        case .noProtocol: return "\(quoted) has no protocol; write it like 8080/tcp or 51820/udp."
        case .unknownProtocol(_, let name):
            return "\(quoted): the protocol \(name.quoted(limit: 16)) is not supported; use tcp or udp."
        }
    }

    package var description: String { message }
}
