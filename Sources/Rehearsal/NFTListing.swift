import FoundationEssentials
import Netfilter

/// What `nft -j list ruleset` prints, as far as counters need it.
struct NFTListing: Decodable {
    struct Item: Decodable {
        var chain: Chain?
        var rule: Rule?
    }

    struct Chain: Decodable {
        var family: String
        var table: String
        var name: String
        var type: String?
        var hook: String?
        var prio: Int?
        var policy: String?
    }

    struct Rule: Decodable {
        var family: String
        var table: String
        var chain: String
        var handle: Int
        var comment: String?
        var expr: [JSONValue]?
    }

    var nftables: [Item]

    /// A listing from nft's output.
    ///
    /// - Throws: `DecodingError`.
    init(_ json: [UInt8]) throws { self = try JSONDecoder().decode(NFTListing.self, from: Data(json)) }
}

/// Any value of JSON.
enum JSONValue: Decodable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let object = try? value.decode([String: JSONValue].self) {
            self = .object(object)
        } else {
            self = .list(try value.decode([JSONValue].self))
        }
    }

    /// A member of an object.
    subscript(key: String) -> JSONValue? { if case .object(let members) = self { members[key] } else { nil } }

    /// The text.
    var text: String? { if case .text(let text) = self { text } else { nil } }

    /// A whole number that is not negative.
    var count: UInt64? { if case .number(let number) = self { UInt64(exactly: number) } else { nil } }

    /// The elements of a list or of a set: `{"set": [...]}`; of anything else, itself.
    var elements: [JSONValue] {
        if case .list(let values) = self { return values }
        return self["set"].map(\.elements) ?? [self]
    }
}

extension NFTListing.Rule {
    /// What the rule does with a packet that matches.
    var verdict: CountedRule.Verdict {
        for expression in expr ?? [] {
            if expression["accept"] != nil { return .accept }
            if expression["drop"] != nil { return .drop }
            if expression["reject"] != nil { return .reject }
            if expression["return"] != nil { return .return }
            if let chain = expression["jump"]?["target"]?.text { return .jump(chain) }
            if let chain = expression["goto"]?["target"]?.text { return .goto(chain) }
            // iptables' own, which nft does not translate.
            if expression["xt"]?["type"]?.text == "target", expression["xt"]?["name"]?.text == "REJECT" {
                return .reject
            }
        }
        return .other
    }

    /// How many packets it has counted; nil without a counter.
    var packets: UInt64? { (expr ?? []).lazy.compactMap { $0["counter"]?["packets"]?.count }.first }

    /// Whether it accepts packets of a known conversation.
    var isForReplies: Bool {
        verdict == .accept
            && matches.contains { left, right in
                left["ct"]?["key"]?.text == "state" && right.elements.contains(.text("established"))
            }
    }

    /// The types of ICMPv6 that it names.
    var icmpv6Types: [UInt8] {
        matches.filter { left, _ in
            left["payload"]?["protocol"]?.text == "icmpv6" && left["payload"]?["field"]?.text == "type"
        }.flatMap { $0.right.elements.flatMap(\.icmpv6Types) }
    }

    /// The chains to which a map in the rule may send a packet.
    var branches: [String] {
        (expr ?? []).compactMap { $0["vmap"]?["data"] }.flatMap(\.elements).compactMap { pair in
            guard case .list(let parts) = pair, let verdict = parts.last else { return nil }
            return (verdict["jump"] ?? verdict["goto"])?["target"]?.text
        }
    }

    private var matches: [(left: JSONValue, right: JSONValue)] {
        (expr ?? []).compactMap { expression in
            guard let match = expression["match"], match["op"]?.text != "!=", let left = match["left"],
                let right = match["right"]
            else { return nil }
            return (left, right)
        }
    }
}

extension NFTListing {
    /// A type of ICMPv6 as nft names it, if it does.
    static func icmpv6Name(of type: UInt8) -> String? { icmpv6Types.first { $0.value == type }?.key }

    /// The types of ICMPv6 as nft names them (nft(8), "ICMPV6 TYPE TYPE").
    fileprivate static let icmpv6Types: [String: UInt8] = [
        "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
        "echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131,
        "mld-listener-done": 132, "nd-router-solicit": 133, "nd-router-advert": 134,
        "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136, "nd-redirect": 137, "router-renumbering": 138,
        "ind-neighbor-solicit": 141, "ind-neighbor-advert": 142, "mld2-listener-report": 143,
    ]
}

extension JSONValue {
    /// The types of ICMPv6 that a value stands for.
    fileprivate var icmpv6Types: [UInt8] {
        if let name = text { return [NFTListing.icmpv6Types[name] ?? UInt8(name)].compactMap(\.self) }
        if let number = count { return [UInt8(exactly: number)].compactMap(\.self) }
        guard let range = self["range"]?.elements.flatMap(\.icmpv6Types), range.count == 2, range[0] <= range[1] else {
            return []
        }
        return Array(range[0]...range[1])
    }
}
