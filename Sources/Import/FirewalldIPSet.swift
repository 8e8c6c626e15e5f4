import Netfilter

/// A set of addresses and networks that zones and rich rules of firewalld name.
package struct FirewalldIPSet: Equatable, Sendable {
    /// Its addresses and networks.
    package var networks: [CIDR]

    /// The most networks of a set that become sources of answers.
    private static let most = 500

    /// A set from its file.
    ///
    /// A set of anything else, such as hardware addresses or ports, and a very long one have no networks.
    ///
    /// - Parameters:
    ///   - text: the file.
    ///   - file: its name, for messages.
    /// - Throws: `ImportMistake`.
    package init(xml text: String, file: String) throws(ImportMistake) {
        let root = try XMLElement.parse(text, file: file)
        guard root.name == "ipset" else {
            throw ImportMistake(file: file, line: 1, text: root.name, problem: "This is not an ipset of firewalld.")
        }
        networks = []
        let entries = root.all("entry")
        guard ["hash:ip", "hash:net"].contains(root.attributes["type"]), entries.count <= Self.most else { return }
        let read = entries.map { entry -> [CIDR]? in
            let text = String(entry.text.filter { !$0.isWhitespace })
            return (try? CIDR(parsing: text)).map { [$0] } ?? CIDR.range(text)
        }
        // What is only partly understood says nothing.
        if read.allSatisfy({ $0 != nil }) { networks = read.flatMap { $0 ?? [] } }
    }
}
