import TestSupport
import Testing

/// Blocked sources that include the server's own neighbours and router.
@Suite("Blocked neighbours", .kernel, .inTurn)
struct BlockedNeighboursTests {
    @Test(
        "IPv6 works for others and for the admins when the router's network or the interface itself is blocked",
        arguments: TemporaryCase.backends)
    func neighbours(_ test: TemporaryCase) async throws {
        try await Machine.withOutside(test.backend) { machine, outside in
            let server = TemporaryServer(machine: machine, outside: outside, test: test)
            try await Self.keep(
                "admins: [192.168.1.33]\nservices: [web]\nblock: [192.0.2.0/24, \"2001:db8:2::/64\"]\nping: limited",
                on: server)
            try await server.send(from: NamespacePair.strangers)
            try await Self.forgetNeighbours(server)
            #expect(try await outside.reachesByBoth(80))
            try await server.send(from: NamespacePair.gateways)
            #expect(try await outside.reachesByNeither(80))
            let ping = ["ping", "-c", "1", "-W", "1"]
            #expect(try await outside.run(ping + ["2001:db8:2::2"]).status == 1)

            try await Self.keep(
                "admins: [192.168.1.33, \"2001:db8:5::33\"]\nservices: [web]\nblock: [{ interface: eth0 }]", on: server)
            try await server.send(from: NamespacePair.admins)
            try await Self.forgetNeighbours(server)
            #expect(try await outside.reachesByBoth(7))
            try await server.send(from: NamespacePair.strangers)
            #expect(try await outside.reachesByNeither(80))
        }
    }

    /// Applies answers and keeps them.
    private static func keep(_ answers: String, on server: TemporaryServer) async throws {
        try server.machine.root.write("version: 1\n\(answers)\n", to: "blocked.yaml")
        let backend = server.test.hasOwnTable ? "nftables" : server.test.backend.rawValue
        try await server.must(
            "apply", "--detach", "--answers", "\(server.machine.root.path)/blocked.yaml", "--backend", backend)
        try await server.must("confirm")
    }

    /// Makes both sides ask for each other's addresses again.
    private static func forgetNeighbours(_ server: TemporaryServer) async throws {
        for namespace in [server.machine.namespace, server.outside] {
            try await namespace.mustRun(["ip", "-6", "neigh", "flush", "dev", "eth0"])
        }
    }
}
