import FoundationEssentials

/// Tables that were made with nft(8) and that iptables neither shows nor changes.
package struct NFTables: Sendable {
    private let program: String
    private let runner: any CommandRunner

    /// The names that iptables-nft takes for its own tables (xtables-nft(8)).
    private static let ofIPTables: Set<String> = ["filter", "nat", "mangle", "raw", "security"]
    /// Where a packet for this machine passes (nft(8), "Address families").
    private static let hooks: Set<String> = ["ingress", "prerouting", "input"]

    /// The nft command, or nil where it is not installed.
    package init?(toolbox: Toolbox, runner: any CommandRunner) {
        guard let program = toolbox.find("nft") else { return nil }
        self.program = program
        self.runner = runner
    }

    /// All tables, such as `ip filter`, those of iptables too.
    ///
    /// - Throws: what running the tool throws.
    package func names() async throws(HostError) -> Set<String> {
        let listing = try await runner.check(Command(program, ["list", "tables"])).text
        return Set(listing.split(separator: "\n").compactMap { $0.hasPrefix("table ") ? String($0.dropFirst(6)) : nil })
    }

    /// The tables besides iptables' own in which a chain decides about incoming packets, such as `inet filter`.
    ///
    /// Nothing is found where nft may not look.
    package func judgingInput() async -> [String] {
        guard let result = try? await runner.run(Command(program, ["-j", "list", "chains"])), result.status == 0 else {
            return []
        }
        return Self.judgingInput(result.output)
    }

    /// The same, from what nft printed.
    static func judgingInput(_ json: [UInt8]) -> [String] {
        guard let listing = try? JSONDecoder().decode(Listing.self, from: Data(json)) else { return [] }
        let tables = listing.nftables.compactMap(\.chain).filter { chain in
            guard chain.type == "filter", let hook = chain.hook, hooks.contains(hook) else { return false }
            return !(["ip", "ip6"].contains(chain.family) && ofIPTables.contains(chain.table))
        }.map { "\($0.family) \($0.table)" }
        return Set(tables).sorted()
    }

    private struct Listing: Decodable {
        var nftables: [Item]

        struct Item: Decodable {
            var chain: Chain?
        }

        struct Chain: Decodable {
            var family: String
            var table: String
            var type: String?
            var hook: String?
        }
    }
}
