import Netfilter

/// The names of running containers, by the ports that they publish.
///
/// They come from `docker ps` and `podman ps`: the rules hold only addresses. A program that is missing, that fails or
/// that does not answer in time leaves the names unknown, and nothing else.
package struct PublishedContainers: Sendable, Equatable {
    private let names: [TransportProtocol: [(range: PortRange, name: String)]]

    /// How long `docker ps` may take: a hanging daemon must not hold up a review.
    private static let patience: Duration = .seconds(2)

    package static func == (left: Self, right: Self) -> Bool {
        TransportProtocol.allCases.allSatisfy { transport in
            left.names[transport]?.map(\.name) == right.names[transport]?.map(\.name)
                && left.names[transport]?.map(\.range) == right.names[transport]?.map(\.range)
        }
    }

    /// Containers in the output of `ps`, which prints one on each line: its name, a tab, and its ports.
    package init(listings: [String]) {
        var names: [TransportProtocol: [(range: PortRange, name: String)]] = [:]
        for line in listings.flatMap({ $0.split(separator: "\n") }) {
            let columns = line.split(separator: "\t", maxSplits: 1)
            guard columns.count == 2 else { continue }
            for mapping in columns[1].split(separator: ",") {
                guard let port = Self.published(mapping) else { continue }
                names[port.transport, default: []].append((port.range, String(columns[0])))
            }
        }
        self.names = names
    }

    /// The containers that run now.
    ///
    /// - Parameters:
    ///   - toolbox: finds docker and podman.
    ///   - runner: runs them.
    ///   - facts: shows whether Docker's socket exists, without which `docker` is not asked.
    package init(toolbox: Toolbox, runner: any CommandRunner, facts: FactSource) async {
        var programs: [String] = []
        if ["/run/docker.sock", "/var/run/docker.sock"].contains(where: facts.exists) { programs.append("docker") }
        if facts.exists("/run/containers/storage") || facts.exists("/var/lib/containers/storage") {
            programs.append("podman")
        }
        var listings: [String] = []
        for program in programs.compactMap(toolbox.find) {
            let command = Command(
                program, ["ps", "--format", "{{.Names}}\t{{.Ports}}"], timeout: Self.patience)
            guard let result = try? await runner.run(command), result.status == 0 else { continue }
            listings.append(result.text)
        }
        self.init(listings: listings)
    }

    /// The name of the container that publishes a port; nil if it is unknown.
    package func name(of port: PublishedPort) -> String? {
        names[port.ports.transport]?.first { entry in
            entry.range.lower <= port.ports.range.lower && port.ports.range.upper <= entry.range.upper
        }?.name
    }

    /// The port of this machine in `0.0.0.0:8080->80/tcp`, `[::]:8000-8010->80-90/udp` or `:::53->53/udp`; nil for a
    /// port that is not published.
    private static func published(_ mapping: Substring) -> PortSpec? {
        guard let arrow = mapping.firstRange(of: "->"), let slash = mapping.lastIndex(of: "/"),
            let colon = mapping[..<arrow.lowerBound].lastIndex(of: ":"),
            let transport = TransportProtocol(rawValue: String(mapping[mapping.index(after: slash)...])),
            let range = try? PortRange(
                parsing: String(mapping[mapping.index(after: colon)..<arrow.lowerBound]))
        else { return nil }
        return PortSpec(range: range, transport: transport)
    }
}
