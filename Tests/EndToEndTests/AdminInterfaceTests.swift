import Foundation
import TestSupport
import Testing

/// Temporary entries and admins who come in through an interface.
@Suite("Temporary entries and an admins' interface", .kernel, .tool("ipset"), .inTurn)
struct AdminInterfaceTests {
    private static let answers = "version: 1\nadmins: [{ interface: eth0 }]\n"

    private static func apply(
        _ answers: String, on server: TemporaryServer, status: Int32 = 0
    ) async throws -> Finished {
        try server.machine.root.write(answers, to: "interface.yaml")
        let backend = server.test.hasOwnTable ? "nftables" : server.test.backend.rawValue
        return try await server.must(
            "apply", "--detach", "--no-rehearsal", "--answers", "\(server.machine.root.path)/interface.yaml",
            "--backend",
            backend, status: status)
    }

    @Test(
        "an entry that blocks addresses behind the interface does not block admins, whatever becomes of the answers",
        arguments: TemporaryCase.backends)
    func unreadableAnswers(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            _ = try await Self.apply(Self.answers, on: server)
            try await server.must("confirm")
            for network in TemporaryServer.networks { try await server.must("block", network) }
            #expect(try await server.outside.reachesByBoth(7))
            try server.machine.root.write("version: 1\nadmins: [x]\n", to: "etc/latchkey/answers.yaml")
            for network in ["203.0.113.0/24", "2001:db8:9::/48"] { try await server.must("allow", network) }
            #expect(try await server.outside.reachesByBoth(7))
        }
    }

    @Test(
        "answers with a new interface of the admins are refused while an earlier entry would block them",
        arguments: TemporaryCase.backends)
    func newInterface(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            let network = TemporaryServer.networks[0]
            try await server.must("block", network)
            let refused = try await Self.apply(Self.answers, on: server, status: 65)
            let words = refused.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(words.contains("latchkey forget \(network)"), "\(words)")
            try await server.must("forget", network)
            _ = try await Self.apply(Self.answers, on: server)
            try await server.must("confirm")
            // Made now, an entry knows the interface, and the same answers can be applied again.
            try await server.must("block", network)
            _ = try await Self.apply(Self.answers, on: server)
            #expect(try await server.outside.reachesByBoth(7))
            try await server.must("confirm")
        }
    }
}
