import Netfilter

/// A service of firewalld.
package struct FirewalldService: Equatable, Sendable {
    /// Its name.
    package var name: String
    /// Its ports, as `8080/tcp`.
    package var ports: [String] = []
    /// Its protocols.
    package var protocols: [String] = []
    /// The ports that packets may come from.
    package var sourcePorts: [String] = []
    /// Where packets have to be sent to, by family.
    package var destinations: [Family: String] = [:]
    /// The services that it includes.
    package var includes: [String] = []

    /// A service from its file.
    ///
    /// - Parameters:
    ///   - name: its name.
    ///   - text: the file.
    ///   - file: the file's name, for messages.
    /// - Throws: `ImportMistake`.
    package init(_ name: String, xml text: String, file: String) throws(ImportMistake) {
        self.name = name
        let root = try XMLElement.parse(text, file: file)
        guard root.name == "service" else {
            throw ImportMistake(file: file, line: 1, text: root.name, problem: "This is not a service of firewalld.")
        }
        for child in root.children {
            let key = child.attributes
            switch child.name {
            case "port":
                let transport = key["protocol"] ?? ""
                if let port = key["port"], !port.isEmpty {
                    ports.append("\(port)/\(transport)")
                } else if !transport.isEmpty {
                    protocols.append(transport)
                }
            case "protocol": protocols += [key["value"]].compactMap(\.self)
            case "source-port": sourcePorts.append("\(key["port"] ?? "")/\(key["protocol"] ?? "")")
            case "destination":
                destinations[.ipv4] = key["ipv4"]
                destinations[.ipv6] = key["ipv6"]
            case "include": includes += [key["service"]].compactMap(\.self)
            default: break
            }
        }
    }
}
