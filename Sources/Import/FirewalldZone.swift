import Netfilter

/// A zone of firewalld.
package struct FirewalldZone: Equatable, Sendable {
    /// Its name.
    package var name: String
    /// What becomes of packets that nothing else decides about: `default`, `ACCEPT`, `DROP`, `REJECT`.
    package var target = "default"
    /// The interfaces that are bound to it.
    package var interfaces: [String] = []
    /// The sources that are bound to it: networks, hardware addresses, `ipset:NAME`.
    package var sources: [String] = []
    /// The names of its services.
    package var services: [String] = []
    /// Its ports, as `8080/tcp`.
    package var ports: [String] = []
    /// Its protocols.
    package var protocols: [String] = []
    /// The ports that packets may come from, as `67/udp`.
    package var sourcePorts: [String] = []
    /// The types of ICMP that are blocked, or that are allowed if `isInverted`.
    package var icmpBlocks: [String] = []
    /// Whether only the types of ICMP in `icmpBlocks` are allowed.
    package var isInverted = false
    /// Ports that are sent elsewhere, and masquerading: not about what this server accepts.
    package var forwarding: [String] = []
    /// Its rich rules.
    package var rules: [FirewalldRichRule] = []

    /// A zone without settings.
    package init(_ name: String) { self.name = name }

    /// A zone from its file.
    ///
    /// - Parameters:
    ///   - name: its name.
    ///   - text: the file.
    ///   - file: the file's name, for messages.
    /// - Throws: `ImportMistake`.
    package init(_ name: String, xml text: String, file: String) throws(ImportMistake) {
        self.init(name)
        let root = try XMLElement.parse(text, file: file)
        guard root.name == "zone" else {
            throw ImportMistake(file: file, line: 1, text: root.name, problem: "This is not a zone of firewalld.")
        }
        target = Self.target(root.attributes["target"] ?? "default")
        for child in root.children {
            let key = child.attributes
            switch child.name {
            case "interface": interfaces += [key["name"]].compactMap(\.self)
            case "source":
                sources += [key["address"] ?? key["mac"] ?? key["ipset"].map { "ipset:\($0)" }].compactMap(\.self)
            case "service": services += [key["name"]].compactMap(\.self)
            case "port": ports.append("\(key["port"] ?? "")/\(key["protocol"] ?? "")")
            case "protocol": protocols += [key["value"]].compactMap(\.self)
            case "source-port": sourcePorts.append("\(key["port"] ?? "")/\(key["protocol"] ?? "")")
            case "icmp-block": icmpBlocks += [key["name"]].compactMap(\.self)
            case "icmp-block-inversion": isInverted = true
            case "masquerade": forwarding.append("masquerade")
            case "forward-port":
                let to = [key["to-addr"], key["to-port"]].compactMap(\.self).joined(separator: ":")
                forwarding.append("forward-port \(key["port"] ?? "")/\(key["protocol"] ?? "") to \(to)")
            case "rule": rules.append(FirewalldRichRule(xml: child))
            default: break
            }
        }
    }

    private static func target(_ text: String) -> String {
        text.contains("REJECT") ? "REJECT" : text
    }

    /// The zones in the listing of `firewall-cmd --list-all-zones`.
    package static func listing(_ text: String) -> [FirewalldZone] {
        var zones: [FirewalldZone] = []
        for line in text.split(separator: "\n") {
            if line.first != " ", line.first != "\t" {
                zones.append(FirewalldZone(String(line.prefix { $0 != " " })))
                continue
            }
            guard !zones.isEmpty else { continue }
            let trimmed = String(line.drop { $0 == " " || $0 == "\t" })
            if trimmed.hasPrefix("rule ") || trimmed == "rule" {
                zones[zones.count - 1].rules.append(FirewalldRichRule(trimmed))
                continue
            }
            guard let colon = trimmed.firstIndex(of: ":") else { continue }
            let key = trimmed[..<colon]
            let values = trimmed[trimmed.index(after: colon)...].split(separator: " ").map(String.init)
            zones[zones.count - 1].set(key, values, line: trimmed)
        }
        return zones
    }

    private mutating func set(_ key: Substring, _ values: [String], line: String) {
        switch key {
        case "target": target = Self.target(values.first ?? "default")
        case "icmp-block-inversion": isInverted = values.first == "yes"
        case "interfaces": interfaces = values
        case "sources": sources = values
        case "services": services = values
        case "ports": ports = values
        case "protocols": protocols = values
        case "source-ports": sourcePorts = values
        case "icmp-blocks": icmpBlocks = values
        case "masquerade": if values.first == "yes" { forwarding.append("masquerade") }
        case "forward-ports": forwarding += values.map { "forward-port \($0)" }
        default: if line.hasPrefix("port=") { forwarding.append("forward-port \(line)") }
        }
    }
}
