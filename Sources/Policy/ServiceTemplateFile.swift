import Netfilter

extension ServiceTemplate {
    private static let keys = [
        "name", "title", "summary", "group", "ports", "protocols", "multicast", "source", "programs", "listens",
        "note", "reference",
    ]

    /// Reads a template's file; nil if something in it was wrong and recorded.
    ///
    /// - Parameters:
    ///   - bytes: the file.
    ///   - expectedName: the file's name without `.yaml`, which must be the template's name.
    ///   - origin: where the file is.
    ///   - mistakes: collects everything that is wrong.
    /// - Returns: the template.
    static func read(
        _ bytes: [UInt8], expectedName: String, origin: Origin, mistakes: inout Mistakes
    ) -> ServiceTemplate? {
        let before = mistakes.count
        guard let root = StrictYAML.read(bytes, mistakes: &mistakes),
            let fields = mistakes.mapping(root, known: keys, what: "a service template")
        else { return nil }

        let name = mistakes.required("name", of: fields).flatMap { mistakes.serviceName($0, expected: expectedName) }
        let title = mistakes.required("title", of: fields).flatMap {
            mistakes.string($0, what: "\"title\"", limit: 40)
        }
        let summary = mistakes.required("summary", of: fields).flatMap {
            mistakes.string($0, what: "\"summary\"", limit: 120)
        }
        let group = fields["group"].flatMap { mistakes.word($0, as: Group.self, what: "\"group\"") }
        let ports = fields["ports"].flatMap { mistakes.ports($0, what: "\"ports\"") } ?? []
        let protocols = fields["protocols"].flatMap { mistakes.protocols($0) } ?? []
        let multicast = fields["multicast"].flatMap { mistakes.multicastGroups($0) } ?? []
        let audience = mistakes.required("source", of: fields).flatMap {
            mistakes.word($0, as: Audience.self, what: "\"source\"")
        }
        let programs = fields["programs"].flatMap { mistakes.programs($0) } ?? []
        let listens = fields["listens"].flatMap { mistakes.ports($0, what: "\"listens\"") }
        let note = fields["note"].flatMap { mistakes.string($0, what: "\"note\"", limit: 400) }
        let reference = fields["reference"].flatMap { mistakes.string($0, what: "\"reference\"") }

        if ports.isEmpty, protocols.isEmpty, mistakes.count == before {
            mistakes.add(
                root, "The service opens nothing.", remedy: "Write its ports, for example ports: [8080/tcp].")
        }
        if !multicast.isEmpty, ports.isEmpty, mistakes.count == before, let key = fields.key("multicast") {
            mistakes.add(key, "\"multicast\" requires \"ports\", and there are none.")
        }
        guard mistakes.count == before, let name, let title, let summary, let audience else { return nil }
        return ServiceTemplate(
            name: name, title: title, summary: summary, group: group ?? .other, ports: ports.sorted(),
            protocols: protocols.sorted(), multicast: multicast, audience: audience, programs: programs,
            // A service seldom listens on a whole range.
            hintPorts: listens ?? ports.filter { $0.range.lower == $0.range.upper }, note: note,
            reference: reference, origin: origin)
    }
}

// What the templates' fields may contain, beyond what is allowed in every YAML file here.
extension Mistakes {
    fileprivate mutating func required(_ key: String, of fields: YAMLMapping) -> YAMLNode? {
        if let node = fields[key] { return node }
        add(fields.node, "The key \"\(key)\" is missing.")
        return nil
    }

    /// A template's name; it becomes part of rule comments and messages.
    fileprivate mutating func serviceName(_ node: YAMLNode, expected: String) -> String? {
        guard let name = string(node, what: "\"name\"") else { return nil }
        guard ServiceTemplate.isName(name) else {
            add(
                node, "\(name.quoted) is not a name.",
                remedy: "Use up to \(ServiceTemplate.nameLimit) small letters, digits and dashes, a letter first.")
            return nil
        }
        guard name == expected else {
            add(
                node, "\(name.quoted) is not the name of the file.",
                remedy: "Rename one of the two: the file should be \(name).yaml.")
            return nil
        }
        return name
    }

    /// A list of ports without duplicates.
    fileprivate mutating func ports(_ node: YAMLNode, what: String) -> [PortSpec]? {
        list(node, what: what, example: "[80/tcp, 60000-61000/udp]") { node, mistakes -> PortSpec? in
            guard let text = mistakes.string(node, what: "a port") else { return nil }
            do throws(PortError) {
                return try PortSpec(parsing: text)
            } catch {
                mistakes.add(node, error.message)
                return nil
            }
        }
    }

    fileprivate mutating func protocols(_ node: YAMLNode) -> [IPProtocol]? {
        list(node, what: "\"protocols\"", example: "[esp]") { node, mistakes in
            mistakes.word(node, as: IPProtocol.self, what: "a protocol")
        }
    }

    fileprivate mutating func multicastGroups(_ node: YAMLNode) -> [IPAddress]? {
        list(node, what: "\"multicast\"", example: "[224.0.0.251]") { node, mistakes -> IPAddress? in
            guard let text = mistakes.string(node, what: "a multicast group") else { return nil }
            do throws(AddressError) {
                let group = try IPAddress(parsing: text)
                if group.isMulticast { return group }
                mistakes.add(
                    node, "\(text.quoted) is not a multicast group.",
                    remedy: "Multicast groups begin with 224 to 239, or with ff in IPv6.")
            } catch {
                mistakes.add(node, error.message)
            }
            return nil
        }
    }

    fileprivate mutating func programs(_ node: YAMLNode) -> [String]? {
        list(node, what: "\"programs\"", example: "[nginx, apache2]") { node, mistakes in
            // The kernel cuts names to this length (proc_pid_comm(5)).
            mistakes.string(node, what: "a program", limit: 64).map { String($0.prefix(15)) }
        }
    }

    /// A list without duplicates.
    private mutating func list<Element: Hashable>(
        _ node: YAMLNode, what: String, example: String, read: (YAMLNode, inout Mistakes) -> Element?
    ) -> [Element]? {
        guard let items = sequence(node, what: what, example: example) else { return nil }
        var seen: Set<Element> = []
        var result: [Element] = []
        for item in items {
            guard let element = read(item, &self) else { continue }
            if seen.insert(element).inserted {
                result.append(element)
            } else {
                add(item, "\(item.text.quoted) is in \(what) twice.", remedy: "Delete one of them.")
            }
        }
        return result
    }
}

extension ServiceTemplate {
    /// The maximum length of a template's name.
    package static let nameLimit = 40

    /// Whether a text is a valid template name: small ASCII letters, digits and dashes, starting with a letter.
    package static func isName(_ text: String) -> Bool {
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard let first = text.utf8.first, letters.contains(first), text.utf8.count <= nameLimit else { return false }
        return text.utf8.allSatisfy { letters.contains($0) || digits.contains($0) || $0 == UInt8(ascii: "-") }
    }
}
