import TestSupport
import Testing

/// What packets meet while answers are observed.
@Suite("apply --observe", .kernel, .inTurn)
struct ObserveTests {
    private static func backend(_ test: TemporaryCase) -> String {
        test.hasOwnTable ? "nftables" : test.backend.rawValue
    }

    /// The rules before latchkey's: they close port 9.
    private static func close9(_ machine: Machine, _ test: TemporaryCase) async throws {
        if test.hasOwnTable {
            try await machine.nft(
                """
                table inet mine {
                    chain input {
                        type filter hook input priority 0; policy accept;
                        tcp dport 9 drop
                    }
                }
                """)
        } else {
            try await machine.load { _ in
                "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 9 -j DROP\nCOMMIT\n"
            }
        }
    }

    /// How many packets `status` says would have been dropped.
    private static func dropped(_ machine: Machine) async throws -> Int? {
        let text = try await machine.latchkey("status").output.split(whereSeparator: \.isWhitespace)
            .joined(separator: " ")
        return text.firstMatch(of: #/would have dropped (\d+) packet/#).flatMap { Int($0.1) }
    }

    @Test(
        "observed answers drop nothing, the active rules still decide, and enforced answers drop",
        arguments: TemporaryCase.backends)
    func observe(_ test: TemporaryCase) async throws {
        try await Machine.withOutside(test.backend) { machine, outside in
            let server = TemporaryServer(machine: machine, outside: outside, test: test)
            try await Self.close9(machine, test)
            try machine.root.write(
                "version: 1\nservices: [{ name: web, limit: 50/1m }]\nblock: [203.0.113.0/24]\n", to: "observed.yaml")
            let file = "\(machine.root.path)/observed.yaml"
            let state = { try await test.hasOwnTable ? machine.listing() : machine.rules() }
            let before = try await state()
            try await server.must("apply", "--observe", "--answers", file, "--backend", Self.backend(test))
            let begun = try #require(try await Self.dropped(machine))
            for port in [7, 22, 80] { #expect(try await outside.reachesByBoth(port), "\(port)") }
            #expect(try await outside.reachesByNeither(9))
            let counted = try #require(try await Self.dropped(machine))
            // At least one packet to port 7 and one to port 9 in each family.
            #expect(counted >= begun + 4)
            let status = try await machine.status()
            #expect(status.truth("observing") == true && status.text("state") == "idle")
            #expect(try await !machine.latchkey("doctor").output.contains("latchkey-observed"))

            // Observed again, the counts begin again; a pending change refuses it.
            try await server.must("apply", "--observe", "--answers", file, "--backend", Self.backend(test))
            #expect(try #require(try await Self.dropped(machine)) < counted)
            try await server.must("apply", "--stop-observing")
            #expect(try await state() == before)
            #expect(try await machine.status().truth("observing") == false)
            try await server.must("apply", "--stop-observing", status: 6)
            try await server.must("apply", "--enforce", status: 6)

            try await server.must("apply", "--observe", "--answers", file, "--backend", Self.backend(test))
            try await server.must("apply", "--enforce", "--detach")
            try await server.must("apply", "--observe", "--answers", file, status: 5)
            #expect(try await outside.reachesByNeither(7))
            try await server.must("revert")
            #expect(try await outside.reachesByBoth(7))
            #expect(try await machine.status().truth("observing") == true)

            try await server.must("apply", "--enforce", "--detach")
            try await server.must("confirm")
            #expect(try await outside.reachesByNeither(7))
            #expect(try await outside.reachesByBoth(80))
            let kept = try await machine.status()
            #expect(kept.truth("observing") == false && kept.text("state") == "kept" && kept.truth("drift") == false)
            #expect(kept.text("backend") == Self.backend(test))
            #expect(try await !state().contains("observed"))
        }
    }

    @Test(
        "temporary entries and an observation leave each other alone", .tool("ipset"), arguments: TemporaryCase.backends
    )
    func besideEntries(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            let (machine, outside) = (server.machine, server.outside)
            let many = (1...20).map { "203.0.113.\($0), \"2001:db8:9::\($0)\"" }.joined(separator: ", ")
            try machine.root.write("version: 1\nservices: [ssh]\nblock: [\(many)]\n", to: "observed.yaml")
            let before = try await server.state()
            try await server.must(
                "apply", "--observe", "--answers", "\(machine.root.path)/observed.yaml", "--backend",
                Self.backend(test))
            for network in TemporaryServer.networks {
                try await server.must("block", network)
                #expect(try await machine.status().truth("observing") == true, "\(network)")
            }
            #expect(try await outside.reachesByNeither(80))
            for network in TemporaryServer.networks {
                try await server.must("forget", network)
                #expect(try await machine.status().truth("observing") == true, "\(network)")
            }
            #expect(try await outside.reachesByBoth(80))
            try await server.must("block", TemporaryServer.networks[0])
            try await server.must("apply", "--stop-observing")
            #expect(try await outside.reachesByBoth(80) == false)
            try await server.must("forget", TemporaryServer.networks[0])
            #expect(try await server.state() == before)
        }
    }

    @Test("what cannot be observed is a usage error, and bad answers change nothing")
    func refusals() async throws {
        try await Machine.withOutside(TestBackend.installed[0]) { machine, outside in
            let server = TemporaryServer(machine: machine, outside: outside, test: TemporaryCase.backends[0])
            try machine.root.write("version: 1\nports: [x]\n", to: "bad.yaml")
            let before = try await machine.rules()
            try await server.must("apply", "--observe", "--answers", "\(machine.root.path)/bad.yaml", status: 65)
            try await server.must("apply", "--observe", "--enforce", status: 64)
            try await server.must("apply", "--enforce", "--answers", "x", status: 64)
            try await server.must("apply", "--observe", "--rules", "x", status: 64)
            #expect(try await machine.rules() == before)
        }
    }
}
