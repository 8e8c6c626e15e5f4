import Netfilter

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
        var val: String
        var expires: Int?
        var comment: String?
    }

    /// The elements of the set.
    func elements(of set: TemporarySet) -> [TemporaryElement] {
        nftables.compactMap(\.set).flatMap { $0.elem ?? [] }.compactMap(\.elem).compactMap { element in
            guard let address = try? IPAddress(parsing: element.val),
                let source = CIDR(of: address, prefixLength: set.prefixLength)
            else { return nil }
            return TemporaryElement(
                list: set.list, source: source, label: element.comment ?? "", secondsLeft: element.expires)
        }
    }
}
