import TestSupport
import Testing

/// A backend of latchkey's and a way to treat other rules, for tests of temporary entries.
struct TemporaryCase: Sendable, CustomTestStringConvertible {
    let backend: TestBackend
    let existing: Existing
    /// Whether the rules are in latchkey's own table of nftables.
    var hasOwnTable = false

    /// Every backend, each treating other rules as most do.
    static let backends =
        TestBackend.installed.map { TemporaryCase(backend: $0, existing: .keep) }
        + [TemporaryCase(backend: .nft, existing: .keep, hasOwnTable: true)]
    static let all =
        Sampled.isComplete
        ? backends + TestBackend.installed.map { TemporaryCase(backend: $0, existing: .replace) }
        : Case.crossed.map { TemporaryCase(backend: $0.backend, existing: $0.existing) }
            + backends.filter(\.hasOwnTable)

    var testDescription: String { hasOwnTable ? "nftables" : "\(backend.testDescription), \(existing.testDescription)" }
}

/// A server with kept rules, and the network outside it, which sends from several addresses.
struct TemporaryServer {
    let machine: Machine
    let outside: NetworkNamespace
    let test: TemporaryCase

    /// The strangers' addresses, and networks with them.
    static let strangers = IPFamily.allCases.map { NamespacePair.bare(NamespacePair.strangers, $0) }
    static let networks = ["198.51.100.0/24", "2001:db8:bad::/48"]

    /// Provides a server on which the answers are kept.
    static func with(_ test: TemporaryCase, _ body: (TemporaryServer) async throws -> Void) async throws {
        try await Machine.withOutside(test.backend) { machine, outside in
            let server = TemporaryServer(machine: machine, outside: outside, test: test)
            try await server.begin()
            try await server.must("confirm")
            try await server.send(from: NamespacePair.strangers)
            try await body(server)
        }
    }

    /// Applies the answers without confirming them.
    func begin() async throws {
        if test.hasOwnTable {
            try await machine.begin(test.existing, "--backend", "nftables")
        } else {
            try await machine.begin(test.existing)
        }
    }

    /// Runs latchkey, which must end with a status.
    @discardableResult
    func must(
        _ words: String..., status: Int32 = 0, at location: SourceLocation = #_sourceLocation
    ) async throws
        -> Finished
    {
        let finished = try await Latchkey.run(words, root: machine.root, in: machine.namespace, timeout: .seconds(90))
        #expect(finished.status == status, "\(words): \(finished.errors)", sourceLocation: location)
        return finished
    }

    /// Makes the outside send from these addresses.
    func send(from addresses: [String]) async throws {
        for family in IPFamily.allCases {
            let to = NamespacePair.bare(NamespacePair.serverAddresses, family)
            try await outside.mustRun([
                "ip", family == .ipv4 ? "-4" : "-6", "route", "replace", "\(to)/\(family == .ipv4 ? 32 : 128)", "dev",
                "eth0", "src", NamespacePair.bare(addresses, family),
            ])
        }
    }

    /// The sources that `status` lists, each with what it may reach.
    func listed() async throws -> [String] {
        (try await machine.status().objects("temporary") ?? []).map { entry in
            ([entry.text("verdict"), entry.text("source")].compactMap(\.self) + (entry.texts("what") ?? []))
                .joined(separator: " ")
        }
    }

    /// All rules and sets that are active, without counters.
    func state() async throws -> String {
        let sets = try await machine.namespace.run(["ipset", "list", "-n"]).output
        return test.hasOwnTable ? try await machine.listing() : try await machine.rules() + sets
    }

    /// Expects the ports that the answers open to be open, and port 7 to be closed.
    func expectAnswers(at location: SourceLocation = #_sourceLocation) async throws {
        #expect(try await outside.reachesByBoth(80), "the answers open port 80", sourceLocation: location)
        #expect(try await outside.reachesByNeither(7), "the answers don't open port 7", sourceLocation: location)
    }
}
