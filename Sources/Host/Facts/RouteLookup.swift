import FoundationEssentials
import Netfilter

/// Asks the kernel which interface leads to an address, with the routes of all tables and the rules that choose among
/// them.
package struct RouteLookup: Sendable {
    private let ip: String
    private let runner: any CommandRunner

    /// A lookup in this program's own network namespace.
    ///
    /// - Throws: `toolMissing` without ip(8).
    package init(toolbox: Toolbox, runner: any CommandRunner) throws(HostError) {
        ip = try toolbox.need("ip")
        self.runner = runner
    }

    /// The interfaces through which addresses are reached.
    ///
    /// - Parameter addresses: the addresses to look up, all in one call.
    /// - Returns: an entry for every address that is reachable through an interface.
    /// - Throws: `HostError` if ip(8) cannot be run.
    package func interfaces(to addresses: [IPAddress]) async throws(HostError) -> [IPAddress: String] {
        guard !addresses.isEmpty else { return [:] }
        let lines = addresses.map { "route get \($0)\n" }.joined()
        // -force: an unreachable address is skipped, with a nonzero status at the end.
        let result = try await runner.run(Command(ip, ["-json", "-force", "-batch", "-"], input: Array(lines.utf8)))
        var found: [IPAddress: String] = [:]
        for line in result.text.split(separator: "\n") {
            let routes = (try? JSONDecoder().decode([Route].self, from: Data(line.utf8))) ?? []
            for route in routes {
                if let address = IPAddress(hostText: route.dst), let interface = route.dev, interface != "lo" {
                    found[address] = interface
                }
            }
        }
        return found
    }

    /// The used part of a reply.
    private struct Route: Decodable {
        let dst: String
        let dev: String?
    }
}
