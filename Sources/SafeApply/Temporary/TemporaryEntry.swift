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

    /// The service that a label names.
    static func service(ofLabel label: String) -> String? {
        label.hasPrefix(servicePrefix) ? String(label.dropFirst(servicePrefix.count)) : nil
    }

    private static let servicePrefix = "service "
}
