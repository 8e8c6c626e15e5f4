import Netfilter

/// A set for temporary entries in latchkey's own table: sources of one prefix length.
///
/// A rule looks the masked source up, so that a network and another inside it are two elements with a time each; a set
/// of intervals refuses that.
struct TemporarySet: Hashable, Sendable {
    /// What its elements are for.
    let list: TemporaryElement.List
    /// The family of its sources.
    let family: Family
    /// The prefix length of its sources.
    let prefixLength: Int

    /// The set that an element belongs to.
    init(for element: TemporaryElement) {
        list = element.list
        family = element.source.family
        prefixLength = element.source.prefixLength
    }

    /// The set of that name; nil for another set.
    init?(named name: String) {
        let words = name.dropFirst(TemporaryParts.tableSetPrefix.count).split(separator: "-")
        guard name.hasPrefix(TemporaryParts.tableSetPrefix), words.count == 3,
            let list = TemporaryElement.List(rawValue: String(words[0])), let family = Family(rawValue: String(words[1])),
            let length = Int(words[2]), (0...128).contains(length)
        else { return nil }
        self.list = list
        self.family = family
        prefixLength = length
    }

    /// Its name.
    var name: String { "\(TemporaryParts.tableSetPrefix)\(list.rawValue)-\(family.rawValue)-\(prefixLength)" }

    /// The command for nft(8) that makes it.
    var creation: String {
        let address = family == .ipv4 ? "ipv4_addr" : "ipv6_addr"
        return "add set \(NFTable.Name.latchkey) \(name) { "
            + "type \(address)\(list == .ports ? " . inet_proto . inet_service" : ""); flags timeout; }\n"
    }

    /// The rule that looks a packet up.
    var rule: String {
        let all = [UInt8](repeating: 0xff, count: family == .ipv4 ? 4 : 16)
        let mask = IPAddress(bytes: all).flatMap { CIDR(of: $0, prefixLength: prefixLength) }
        let isHost = prefixLength == all.count * 8
        let source = "\(family == .ipv4 ? "ip" : "ip6") saddr" + (isHost ? "" : mask.map { " & \($0.address)" } ?? "")
        let key = source + (list == .ports ? " . meta l4proto . th dport" : "")
        return "\(key) @\(name) counter \(list == .block ? "drop" : "accept")"
    }

    /// The keys of an element, as nft(8) reads them: the set holds single ports.
    func keys(of element: TemporaryElement) -> [String] {
        guard let ports = element.ports else { return ["\(element.source.address)"] }
        return (ports.range.lower...ports.range.upper).map {
            "\(element.source.address) . \(ports.transport.rawValue) . \($0)"
        }
    }
}

/// What `nft -j list set` prints of a set for temporary entries.
struct TemporarySetListing: Decodable {
    private let nftables: [Item]

    private struct Item: Decodable {
        var set: Content?
    }

    private struct Content: Decodable {
        var elem: [Wrapper]?
    }

    /// An element without a comment is printed in another form; latchkey makes none.
    private struct Wrapper: Decodable {
        var elem: Element?

        private enum Key: CodingKey { case elem }

        init(from decoder: any Decoder) throws {
            elem = (try? decoder.container(keyedBy: Key.self)).flatMap { try? $0.decode(Element.self, forKey: .elem) }
        }
    }

    private struct Element: Decodable {
        var val: Value
        var expires: Int?
        var comment: String?
    }

    /// An address, or an address, protocol and port.
    private struct Value: Decodable {
        var words: [String]

        private enum Key: CodingKey { case concat }

        private struct Word: Decodable {
            var text: String

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                text = try (try? container.decode(String.self)) ?? String(container.decode(Int.self))
            }
        }

        init(from decoder: any Decoder) throws {
            if let container = try? decoder.container(keyedBy: Key.self) {
                words = try container.decode([Word].self, forKey: .concat).map(\.text)
            } else {
                words = [try decoder.singleValueContainer().decode(String.self)]
            }
        }
    }

    /// The elements of the set.
    func elements(of set: TemporarySet) -> [TemporaryElement] {
        nftables.compactMap(\.set).flatMap { $0.elem ?? [] }.compactMap(\.elem).compactMap { element in
            let words = element.val.words
            guard let address = words.first.flatMap({ try? IPAddress(parsing: $0) }),
                let source = CIDR(of: address, prefixLength: set.prefixLength)
            else { return nil }
            var found = TemporaryElement(
                list: set.list, source: source, ports: nil, label: element.comment ?? "", secondsLeft: element.expires)
            guard set.list == .ports else { return found }
            guard words.count == 3, let ports = try? PortSpec(parsing: "\(words[2])/\(words[1])") else { return nil }
            found.ports = ports
            return found
        }
    }
}
