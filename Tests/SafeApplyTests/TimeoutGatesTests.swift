import Host
import TestSupport
import Testing

@testable import SafeApply

@Suite("Gates that are sets of nftables", .kernel, .root, .tool("nft"), .inTurn)
struct TimeoutGatesTests {
    private let namespace: NetworkNamespace
    private let gates = TimeoutGates(sets: [
        TimedSet(family: .inet, table: "latchkey", set: "trial"),
        TimedSet(family: .ip, table: "latchkey", set: "trial"),
    ])

    init() async throws { namespace = try await NetworkNamespace() }

    private func load() async throws {
        for family in ["inet", "ip"] {
            try await namespace.mustRun(["nft", "add", "table", family, "latchkey"])
            try await namespace.mustRun([
                "nft", "add set \(family) latchkey trial { type ether_type; flags timeout; }",
            ])
        }
    }

    @Test("they are open from a renewal on, for the usual time, until they are closed")
    func renewal() async throws {
        try await load()
        try await namespace.onThread { [gates] in
            #expect(gates.areClosed)
            try gates.renew()
            #expect(!gates.areClosed)
        }
        for family in ["inet", "ip"] {
            let listing = try await namespace.mustRun(["nft", "list", "set", family, "latchkey", "trial"])
            #expect(listing.contains("ip timeout \(Gate.usualSeconds)s"), "\(listing)")
            #expect(listing.contains("ip6 timeout \(Gate.usualSeconds)s"), "\(listing)")
        }
        try await namespace.onThread { [gates] in
            try gates.close()
            #expect(gates.areClosed)
        }
    }

    @Test("gates that were removed cannot be renewed, and are closed")
    func removed() async throws {
        try await load()
        try await namespace.onThread { [gates] in try gates.renew() }
        try await namespace.mustRun(["nft", "delete", "table", "ip", "latchkey"])
        try await namespace.onThread { [gates] in
            #expect(throws: HostError.self) { try gates.renew() }
            #expect(!gates.areClosed, "the other one is still open")
            try gates.close()
            #expect(gates.areClosed)
        }
    }
}
