/// The name of a network interface, such as `wg0`; one with that name need not exist.
///
/// The kernel refuses names of 16 bytes and more, `.`, `..`, and names with `/`, `:` or a blank (`dev_valid_name` in
/// net/core/dev.c). Further characters are refused here because rules read them in another way: iptables and nft take a
/// `+` or `*` at the end for any further characters.
package struct InterfaceName: Hashable, Sendable {
    /// The name.
    package let text: String

    /// The maximum length in bytes: IFNAMSIZ without the final zero.
    package static let limit = 15

    /// Reads a name.
    ///
    /// - Parameter text: the name as a person writes it.
    /// - Throws: `InterfaceNameError`, which says what is wrong.
    package init(parsing text: String) throws(InterfaceNameError) {
        guard !text.isEmpty else { throw .empty }
        guard text.utf8.count <= Self.limit else { throw .tooLong(text) }
        guard text != "lo" else { throw .loopback }
        if let wildcard = text.unicodeScalars.first(where: { $0 == "+" || $0 == "*" }) {
            throw .wildcard(text, String(wildcard))
        }
        guard text != ".", text != "..", text.utf8.allSatisfy(Self.isAllowed), text.utf8.first != Ascii.dash else {
            throw .notAName(text)
        }
        self.text = text
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        Ascii.isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || "._-".utf8.contains(byte)
    }
}

extension InterfaceName: Comparable, CustomStringConvertible {
    package static func < (left: InterfaceName, right: InterfaceName) -> Bool { left.text < right.text }

    package var description: String { text }
}

/// Why a text is not the name of an interface.
package enum InterfaceNameError: Error, Equatable, Sendable {
    /// It is empty.
    case empty
    /// It has 16 bytes or more.
    case tooLong(String)
    /// It contains a `+` or `*`.
    case wildcard(String, String)
    /// It contains something else that a name cannot contain.
    case notAName(String)
    /// It is the loopback interface.
    case loopback

    /// What is wrong, for a person.
    package var message: String {
        switch self {
        case .empty: "The name of the interface is empty."
        case .tooLong(let text):
            "\(text.quoted()) is too long for the name of an interface: at most \(InterfaceName.limit) bytes."
        case .wildcard(let text, let sign):
            "\(text.quoted()) contains \"\(sign)\", which would mean several interfaces. Name each one."
        case .notAName(let text):
            "\(text.quoted()) is not the name of an interface: letters, digits and . _ - are allowed."
        case .loopback: "\"lo\" is the loopback interface, which is always open."
        }
    }
}
