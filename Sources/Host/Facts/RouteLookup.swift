import FoundationEssentials
import Netfilter

/// Asks the kernel by which interface an address is reached: routes of all tables, and the rules that choose among
/// them, take part.
package struct RouteLookup: Sendable {
    private let ip: String
    private let runner: any CommandRunner

    /// A look at this program's own network namespace.
    ///
    /// - Throws: `toolMissing` without ip(8).
    package init(toolbox: Toolbox, runner: any CommandRunner) throws(HostError) {
        ip = try toolbox.need("ip")
        self.runner = runner
    }

    /// The interfaces by which addresses are reached.
    ///
    /// - Parameter addresses: what to ask about, all in one go.
    /// - Returns: an entry for every address that has a way there over an interface.
    /// - Throws: `HostError` where ip(8) cannot be run.
    package func interfaces(to addresses: [IPAddress]) async throws(HostError) -> [IPAddress: String] {
        guard !addresses.isEmpty else { return [:] }
        let lines = addresses.map { "route get \($0)\n" }.joined()
        // -force: an address without a way there is passed over. That leaves a status other than 0.
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

    /// What is used of an answer.
    private struct Route: Decodable {
        let dst: String
        let dev: String?
    }
}
