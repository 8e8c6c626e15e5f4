import Netfilter
import Policy

/// A rich rule of firewalld (firewalld.richlanguage(5)).
package struct FirewalldRichRule: Equatable, Sendable {
    /// The rule as firewalld prints it.
    package var text: String
    /// Rules with lower numbers come first; those below 0 ahead of everything else, those above 0 behind it.
    var priority = 0
    var family: Family?
    /// The parts of the rule: `source`, `service`, `port`, `accept` and so on, with their attributes.
    var parts: [XMLElement] = []

    /// A rule as firewalld prints it: `rule family="ipv4" source address="10.0.0.0/8" service name="http" accept`.
    package init(_ text: String) {
        self.text = text
        for (name, value) in Self.words(text) {
            if let value {
                if parts.isEmpty { setOwn(name, value) } else { parts[parts.count - 1].attributes[name] = value }
            } else if name == "NOT", !parts.isEmpty {
                parts[parts.count - 1].attributes["invert"] = "True"
            } else if name != "rule" {
                if name == "limit", !parts.isEmpty {
                    // It belongs to the action or the log ahead of it.
                    parts[parts.count - 1].children.append(XMLElement(name: name))
                    parts[parts.count - 1].attributes["limit"] = "limit"
                } else {
                    parts.append(XMLElement(name: name))
                }
            }
        }
    }

    /// A rule of a zone's file.
    init(xml: XMLElement) {
        text = "rule"
        for key in ["priority", "family"] {
            guard let value = xml.attributes[key] else { continue }
            setOwn(key, value)
            text += " \(key)=\"\(value)\""
        }
        for child in xml.children {
            var part = child
            if part.first("limit") != nil { part.attributes["limit"] = "limit" }
            parts.append(part)
            text += " \(child.name)"
            for key in child.attributes.keys.sorted() { text += " \(key)=\"\(child.attributes[key] ?? "")\"" }
            for limit in child.all("limit") { text += " limit value=\"\(limit.attributes["value"] ?? "")\"" }
        }
    }

    private mutating func setOwn(_ key: String, _ value: String) {
        if key == "priority" { priority = Int(value) ?? 0 }
        if key == "family" { family = value == "ipv4" ? .ipv4 : value == "ipv6" ? .ipv6 : nil }
    }

    /// Names, each with the value in quotes behind it.
    private static func words(_ text: String) -> [(String, String?)] {
        var words: [(String, String?)] = []
        var rest = text[...]
        while true {
            rest = rest.drop { $0 == " " }
            guard !rest.isEmpty else { return words }
            let name = rest.prefix { $0 != " " && $0 != "=" }
            rest = rest.dropFirst(name.count)
            guard rest.first == "=" else {
                words.append((String(name), nil))
                continue
            }
            rest = rest.dropFirst()
            let quote = rest.first
            let isQuoted = quote == "\"" || quote == "'"
            if isQuoted { rest = rest.dropFirst() }
            let value = rest.prefix { isQuoted ? $0 != quote : $0 != " " }
            rest = rest.dropFirst(value.count)
            if isQuoted { rest = rest.dropFirst() }
            words.append((String(name), String(value)))
        }
    }

    /// What it does with packets, if it decides about them.
    var verdict: FilterVerdict {
        if part("accept") != nil { return .accept }
        if part("drop") != nil || part("reject") != nil || part("icmp-block") != nil { return .block }
        return .none
    }

    /// The limit of its action, as if it were one on each address: `10/m` is 10 in a minute.
    var nearLimit: RateLimit? {
        guard let part = part("accept") else { return nil }
        let words = (part.first("limit")?.attributes["value"] ?? part.attributes["value"] ?? "").split(separator: "/")
        let units = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard words.count == 2, let unit = words[1].first, let seconds = units[String(unit)] else { return nil }
        return try? RateLimit(parsing: "\(words[0])/\(seconds)s")
    }

    /// The first part with a name.
    func part(_ name: String) -> XMLElement? { parts.first { $0.name == name } }
}
