import Netfilter

/// firewalld's direct.xml: rules as iptables takes them.
package struct FirewalldDirect: Sendable {
    /// The rules of INPUT that block packets, for each family, in the order in which they are asked.
    package var blocks: [Family: [Rule]] = [:]
    /// All others: one that accepts packets does not open what firewalld itself blocks.
    package var others: [String] = []

    /// Reads the file.
    ///
    /// - Parameters:
    ///   - text: the file.
    ///   - file: its name, for messages.
    /// - Throws: `ImportMistake`.
    package init(_ text: String, file: String) throws(ImportMistake) {
        let root = try XMLElement.parse(text, file: file)
        guard root.name == "direct" else {
            throw ImportMistake(file: file, line: 1, text: root.name, problem: "This is not firewalld's direct.xml.")
        }
        let rules = root.all("rule").sorted {
            (Int($0.attributes["priority"] ?? "") ?? 0) < (Int($1.attributes["priority"] ?? "") ?? 0)
        }
        for element in rules + root.all("passthrough") {
            let key = element.attributes
            let family: Family? = key["ipv"] == "ipv4" ? .ipv4 : key["ipv"] == "ipv6" ? .ipv6 : nil
            var words = element.text
            if element.name == "passthrough" {
                for command in ["-A INPUT ", "-I INPUT 1 ", "-I INPUT ", "-t filter -A INPUT ", "-t filter -I INPUT "]
                where words.hasPrefix(command) {
                    words = "-A INPUT " + words.dropFirst(command.count)
                }
            } else if key["table"] == "filter", key["chain"] == "INPUT" {
                words = "-A INPUT " + words
            }
            guard let family, words.hasPrefix("-A INPUT "), let rule = try? Rule(parsing: words),
                rule.target == .drop || rule.target?.text.hasPrefix("-j REJECT") ?? false
            else {
                others.append(words)
                continue
            }
            blocks[family, default: []].append(rule)
        }
    }
}

/// A policy of firewalld.
package enum FirewalldPolicy {
    /// Whether a policy is about packets to this machine.
    ///
    /// - Parameters:
    ///   - text: the policy's file.
    ///   - file: its name, for messages.
    /// - Returns: true if this machine is among its destinations.
    /// - Throws: `ImportMistake`.
    package static func isForThisMachine(_ text: String, file: String) throws(ImportMistake) -> Bool {
        let root = try XMLElement.parse(text, file: file)
        return root.all("egress-zone").contains { $0.attributes["name"] == "HOST" }
    }
}

extension FirewalldZone {
    /// The services that the zone and its rich rules name.
    package var allServices: [String] {
        services + rules.compactMap { $0.part("service")?.attributes["name"] }
    }
}
