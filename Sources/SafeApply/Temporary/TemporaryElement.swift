import Netfilter

/// One element of a kernel set for temporary entries: a source.
struct TemporaryElement: Sendable, Equatable {
    /// What the sources in a set may do; each family has its own sets.
    enum List: Hashable, Sendable {
        /// They may reach everything.
        case allow
        /// They may reach these ports.
        case ports(PortSpec)
        /// They are blocked.
        case block
    }

    var list: List
    var source: CIDR
    /// The label of its entry.
    var label: String
    /// How long it lasts; nil until reboot.
    var secondsLeft: Int?
}

extension TemporaryElement.List {
    /// The word for it in the names of sets: `allow`, `block`, `tcp8080`, `udp60000_61000`.
    ///
    /// With it the longest name of a set has 31 bytes, which is all that ipset(8) takes.
    var word: String {
        switch self {
        case .allow: "allow"
        case .block: "block"
        case .ports(let ports): ports.transport.rawValue + ports.range.description.replacing("-", with: "_")
        }
    }

    /// What a word stands for; nil for another word.
    init?(_ word: Substring) {
        switch word {
        case "allow": self = .allow
        case "block": self = .block
        default:
            let range = word.drop { !$0.isNumber }.replacing("_", with: "-")
            let transport = word.prefix { !$0.isNumber }
            guard let ports = try? PortSpec(parsing: "\(range)/\(transport)") else { return nil }
            self = .ports(ports)
        }
    }

    /// Their order in the chain: what is allowed comes first.
    var place: (Int, String) {
        switch self {
        case .allow: (0, "")
        case .ports: (1, word)
        case .block: (2, "")
        }
    }
}

extension TemporaryEntry {
    /// Its elements.
    var elements: [TemporaryElement] {
        let lists: [TemporaryElement.List] =
            verdict == .block ? [.block] : opening.map { $0.ports.map { .ports($0) } } ?? [.allow]
        return lists.map { TemporaryElement(list: $0, source: source, label: label, secondsLeft: secondsLeft) }
    }

    /// The entries that elements stand for, by source.
    static func listed(_ elements: [TemporaryElement]) -> [TemporaryEntry] {
        struct Key: Hashable {
            let source: CIDR
            let kind: Int
            let label: String
        }
        let groups = Dictionary(grouping: elements) { element in
            Key(source: element.source, kind: element.list.place.0, label: element.label)
        }
        return groups.sorted { left, right in
            (left.key.source, left.key.kind, left.key.label) < (right.key.source, right.key.kind, right.key.label)
        }.map { key, elements in
            var entry = TemporaryEntry(key.source, elements.contains { $0.list == .block } ? .block : .allow)
            let ports = elements.compactMap { if case .ports(let ports) = $0.list { ports } else { nil } }
            if !ports.isEmpty { entry.opening = Opening(ports: ports.sorted(), service: service(ofLabel: key.label)) }
            // All were added together, but the kernel counts the time of each.
            let seconds = elements.map(\.secondsLeft)
            entry.secondsLeft = seconds.contains(nil) ? nil : seconds.compactMap(\.self).max()
            return entry
        }
    }
}
