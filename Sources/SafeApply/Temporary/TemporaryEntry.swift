import Netfilter

/// One address or network that is allowed or blocked until the kernel ends it, or until reboot.
package struct TemporaryEntry: Sendable, Equatable {
    /// What happens to its packets.
    package enum Verdict: String, Sendable, CaseIterable {
        case allow, block
    }

    /// What an entry opens, if it is not everything.
    package struct Opening: Sendable, Equatable {
        /// The ports, ascending.
        package var ports: [PortSpec]
        /// The service that they belong to; nil for a port that was named itself.
        package var service: String?

        /// An opening.
        package init(ports: [PortSpec], service: String? = nil) {
            self.ports = ports
            self.service = service
        }
    }

    /// The address or network.
    package var source: CIDR
    /// What happens to its packets.
    package var verdict: Verdict
    /// What it may reach; nil for everything.
    package var opening: Opening?
    /// How long it lasts; nil until reboot.
    package var secondsLeft: Int?

    /// An entry.
    package init(_ source: CIDR, _ verdict: Verdict, opening: Opening? = nil, secondsLeft: Int? = nil) {
        self.source = source
        self.verdict = verdict
        self.opening = opening
        self.secondsLeft = secondsLeft
    }

    /// How long an entry may last, in seconds: ipset(8) takes at most 2,147,483 s, which is 24 days and 20 hours.
    package static let longest = 24 * 86_400

    /// The text beside each of its elements in the kernel, from which `listed` knows what belongs together.
    var label: String {
        guard let opening else { return "everything" }
        return opening.service.map { "\(Self.servicePrefix)\($0)" }
            ?? opening.ports.map(\.description).joined(separator: " ")
    }

    private static let servicePrefix = "service "
}

/// One element of a kernel set for temporary entries.
struct TemporaryElement: Sendable, Equatable {
    /// The set that an element is in, of which each family has its own.
    enum List: String, Sendable, CaseIterable {
        /// Sources that may reach everything.
        case allow
        /// Sources that may reach a port.
        case ports
        /// Sources that are blocked.
        case block
    }

    var list: List
    var source: CIDR
    /// The ports, for `ports`; the kernel stores a range as single ports.
    var ports: PortSpec?
    /// The label of its entry.
    var label: String
    /// How long it lasts; nil until reboot.
    var secondsLeft: Int?
}

extension TemporaryEntry {
    /// The list that its elements are in.
    var list: TemporaryElement.List { verdict == .block ? .block : opening == nil ? .allow : .ports }

    /// Its elements.
    var elements: [TemporaryElement] {
        (opening?.ports.map(Optional.some) ?? [nil]).map { ports in
            TemporaryElement(list: list, source: source, ports: ports, label: label, secondsLeft: secondsLeft)
        }
    }

    /// The entries that elements stand for, by source.
    static func listed(_ elements: [TemporaryElement]) -> [TemporaryEntry] {
        struct Key: Hashable {
            let list: TemporaryElement.List
            let source: CIDR
            let label: String
        }
        return Dictionary(grouping: elements) { Key(list: $0.list, source: $0.source, label: $0.label) }
            .map { key, elements in
                var entry = TemporaryEntry(key.source, key.list == .block ? .block : .allow)
                let ports = elements.compactMap(\.ports)
                if key.list == .ports {
                    entry.opening = Opening(
                        ports: TransportProtocol.allCases.flatMap { transport in
                            PortRange.merged(ports.filter { $0.transport == transport }.map(\.range)).map {
                                PortSpec(range: $0, transport: transport)
                            }
                        }.sorted(),
                        service: key.label.hasPrefix(servicePrefix)
                            ? String(key.label.dropFirst(servicePrefix.count)) : nil)
                }
                // All were added together, but the kernel counts each of them by itself.
                let seconds = elements.map(\.secondsLeft)
                entry.secondsLeft = seconds.contains(nil) ? nil : seconds.compactMap(\.self).max()
                return entry
            }.sorted { ($0.source, $0.list.rawValue, $0.label) < ($1.source, $1.list.rawValue, $1.label) }
    }
}
