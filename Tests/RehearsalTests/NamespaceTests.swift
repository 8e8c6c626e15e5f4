import TestSupport
import Testing

@Suite("The tests' own namespaces", .kernel, .inTurn)
struct NamespaceTests {
    @Test("server and outside reach each other over both families", arguments: IPFamily.allCases)
    func joined(family: IPFamily) async throws {
        let pair = try await NamespacePair()
        for source in [NamespacePair.admins, NamespacePair.strangers] {
            try await pair.outside.mustRun([
                "ping", "-c1", "-W2", "-I", NamespacePair.bare(source, family),
                NamespacePair.bare(NamespacePair.serverAddresses, family),
            ])
        }
        pair.close()
    }

    @Test("rules are loaded into the namespace and nowhere else", arguments: TestBackend.installed, IPFamily.allCases)
    func rules(backend: TestBackend, family: IPFamily) async throws {
        let namespace = try await NetworkNamespace()
        try await namespace.restore("*filter\n:INPUT DROP [0:0]\nCOMMIT\n", family, backend)
        #expect(try await namespace.dump(family, backend).contains(":INPUT DROP [0:0]"))
        let other = try await NetworkNamespace()
        #expect(try await !other.dump(family, backend).contains(":INPUT DROP"))
    }

    @Test("the built program runs with its files under a folder of the test")
    func program() async throws {
        let namespace = try await NetworkNamespace()
        let finished = try await Latchkey.run(["--help"], root: try TemporaryFolder(), in: namespace)
        #expect(finished.status == 0, "\(Latchkey.path): \(finished)")
    }

    @Test("a program that does not end is killed with its process group")
    func timeout() async throws {
        await #expect(throws: SpawnError.self) {
            try await run(["sleep", "30"], timeout: .milliseconds(50))
        }
    }
}
