import Foundation
import TestSupport
import Testing

/// Temporary entries beside changes.
@Suite("Temporary entries and changes", .kernel, .tool("ipset"), .inTurn)
struct TemporaryChangeTests {
    @Test(
        "entries stay in effect while a change is pending, after its rollback and after its keep",
        arguments: Sampled.cases(TemporaryCase.all, oneOf: 2))
    func changes(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            let (machine, outside) = (server.machine, server.outside)
            let files = try await bootFiles(machine)
            for address in TemporaryServer.strangers { try await server.must("allow", address, "7/tcp", "--for", "5m") }
            func expectEntries(_ what: Comment, ports: [Int]) async throws {
                for port in ports { #expect(try await outside.reachesByBoth(port), what) }
                #expect(try await outside.reachesByNeither(11), what)
                let status = try await machine.status()
                #expect(status.truth("drift") == false, what)
                let left = (status.objects("temporary") ?? []).filter { $0.texts("what") == ["7/tcp"] }
                    .compactMap { $0.number("secondsLeft") }
                #expect(left.count == 2 && left.allSatisfy { (100...300).contains($0) }, what)
            }
            try await expectEntries("before", ports: [7])
            try machine.root.write(
                Answers.keep.replacing("[8080/tcp]", with: "[8443/tcp]").replacing(
                    "keep", with: test.existing.rawValue),
                to: "\(test.existing.rawValue).yaml")
            try await server.begin()
            try await expectEntries("pending", ports: [7, 8443])
            for network in TemporaryServer.networks { try await server.must("allow", network, "9/tcp") }
            try await expectEntries("made while pending", ports: [7, 9, 8443])
            // Another guard takes the change over.
            try await machine.killGuardians()
            try await server.must("revert")
            try await expectEntries("rolled back", ports: [7, 9, 8080])
            #expect(try await outside.reachesByNeither(8443))

            try await server.begin()
            for network in TemporaryServer.networks { try await server.must("forget", network) }
            try await expectEntries("forgotten while pending", ports: [7, 8443])
            #expect(try await outside.reachesByNeither(9))
            try await server.must("confirm")
            try await expectEntries("kept", ports: [7, 8443])
            #expect(try await outside.reachesByNeither(8080))
            let saved = try await bootFiles(machine)
            #expect(!saved.contains("temporary") && saved != files)

            for address in TemporaryServer.strangers { try await server.must("block", address) }
            #expect(try await outside.reachesByNeither(8443))
            let off = try await server.must("off", "--no-rehearsal", "--detach", "--deadline", "5m")
            let said = off.errors.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(said.contains("The 2 temporary entries are removed too when you keep this."), "\(said)")
            try await server.must("confirm")
            #expect(try await outside.reachesByBoth(11))
            #expect(try await machine.rules() == Machine.none)
            #expect(try await machine.namespace.mustRun(["ipset", "list", "-n"]) == "")
            if test.backend == .nft { #expect(try await machine.listing() == "") }
            try await server.must("allow", "198.51.100.7", status: 69)
        }
    }

    @Test(
        "a snapshot taken beside entries restores the rules without them",
        arguments: Sampled.cases(TemporaryCase.all, oneOf: 2))
    func snapshots(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            let before = try await server.state()
            for address in TemporaryServer.strangers { try await server.must("allow", address, "7/tcp") }
            try await server.begin()
            let id = try #require(try await server.machine.status().text("snapshot"))
            try await server.must("confirm")
            try await server.must("snapshots", "restore", id, "--no-rehearsal", "--detach", "--deadline", "5m")
            #expect(try await server.outside.reachesByBoth(7))
            try await server.must("confirm")
            #expect(try await server.outside.reachesByBoth(7))
            #expect(try await server.machine.status().truth("drift") == false)
            #expect(try JSON(await server.must("snapshots", "diff", id, "--json")).truth("same") == true)
            for address in TemporaryServer.strangers { try await server.must("forget", address) }
            #expect(try await server.state() == before)
            try await server.must("snapshots", "restore", id, "--no-rehearsal", "--detach", "--deadline", "5m")
            try await server.must("confirm")
            #expect(try await server.state() == before, "the entries of that time do not come back")
            try await server.expectAnswers()
        }
    }

    @Test(
        "entries are no obstacle to a rehearsal, and doctor counts none of their rules",
        arguments: Sampled.cases(TemporaryCase.backends, oneOf: 2))
    func rehearsed(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            let backend = test.hasOwnTable ? "nftables" : test.backend.rawValue
            let rules = try await server.must("doctor", status: 0).output.split(separator: "\n").first {
                $0.contains("rules ")
            }
            for network in [
                "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8:bad::/48", "2001:db8:2::/48",
            ] {
                try await server.must("block", network)
            }
            try await server.must("allow", "2001:db8::/33")
            let doctor = try await server.must("doctor").output
            #expect(doctor.split(separator: "\n").first { $0.contains("rules ") } == rules)
            #expect(!doctor.contains("latchkey-temporary"))
            let words = ["--answers", "\(server.machine.root.path)/keep.yaml", "--backend", backend]
            let rehearsal = try await Latchkey.run(
                ["rehearse"] + words, root: server.machine.root, in: server.machine.namespace)
            #expect(rehearsal.status == 0, "\(rehearsal.errors)")
        }
    }

    @Test(
        "entries made while nothing was ever kept go with latchkey off",
        arguments: Sampled.cases(TemporaryCase.backends, oneOf: 2))
    func first(_ test: TemporaryCase) async throws {
        try await Machine.withOutside(test.backend) { machine, outside in
            let server = TemporaryServer(machine: machine, outside: outside, test: test)
            try await server.begin()
            try await server.send(from: NamespacePair.strangers)
            for network in TemporaryServer.networks { try await server.must("block", network) }
            #expect(try await outside.reachesByNeither(80))
            try await server.must("revert")
            #expect(try await outside.reachesByNeither(80), "what is blocked stays so")
            #expect(try await server.listed().count == 2)
            try await server.must("off", "--no-rehearsal", "--detach", "--deadline", "5m")
            if try await machine.status().text("state") == "pending" { try await server.must("confirm") }
            #expect(try await outside.reachesByBoth(7))
            #expect(try await machine.rules() == Machine.none)
            #expect(try await machine.namespace.mustRun(["ipset", "list", "-n"]) == "")
        }
    }

    @Test(
        "entries decide before a pending change, also when another program has put a rule ahead of them",
        arguments: TemporaryCase.all.filter { !$0.hasOwnTable })
    func behindOthers(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            let (machine, outside) = (server.machine, server.outside)
            func expectEntries(_ what: Comment) async throws {
                try await server.send(from: NamespacePair.strangers)
                #expect(try await outside.reachesByNeither(80), what)
                try await server.send(from: NamespacePair.gateways)
                for port in [7, 80] { #expect(try await outside.reachesByBoth(port), what) }
                #expect(try await !machine.latchkey("status").output.contains("not in effect"), what)
            }
            for network in TemporaryServer.networks { try await server.must("block", network) }
            for network in ["192.0.2.0/24", "2001:db8:2::/64"] { try await server.must("allow", network) }
            for family in IPFamily.allCases {
                let tool = "\(family == .ipv4 ? "iptables" : "ip6tables")-\(test.backend.rawValue)"
                for words in ["-N f2b-sshd", "-A f2b-sshd -j RETURN", "-I INPUT -p tcp -m tcp --dport 22 -j f2b-sshd"] {
                    try await machine.namespace.mustRun([tool] + words.split(separator: " ").map(String.init))
                }
            }
            try await expectEntries("before")
            let rules = Answers.keep.replacing("8080", with: "8443").replacing("keep", with: test.existing.rawValue)
            try machine.root.write(rules, to: "\(test.existing.rawValue).yaml")
            try await server.begin()
            try await expectEntries("pending")
            try await server.must("revert")
            try await expectEntries("rolled back")
            try await server.begin()
            try await server.must("confirm")
            try await expectEntries("kept")
            #expect(try await machine.status().truth("drift") == false)
            for network in TemporaryServer.networks + ["192.0.2.0/24", "2001:db8:2::/64"] {
                try await server.must("forget", network)
            }
            #expect(try await !machine.rules().contains("temporary"))
        }
    }

    @Test("entries end when another backend is kept", arguments: TestBackend.installed)
    func switched(_ backend: TestBackend) async throws {
        let test = TemporaryCase(backend: backend, existing: .keep)
        try await TemporaryServer.with(test) { server in
            for network in TemporaryServer.networks { try await server.must("block", network) }
            let words = server.machine.applyWords(.keep, ["--detach", "--deadline", "5m", "--backend", "nftables"])
            let begun = try await Latchkey.run(
                words, root: server.machine.root, in: server.machine.namespace, timeout: .seconds(90))
            #expect(begun.status == 0 && begun.errors.contains("The 2 temporary entries are removed too"))
            for address in TemporaryServer.strangers { try await server.must("allow", address) }
            try await server.must("confirm")
            #expect(try await server.outside.reachesByBoth(7), "entries of the new backend stay")
            #expect(try await server.machine.rules() == Machine.none)
            #expect(try await server.machine.namespace.mustRun(["ipset", "list", "-n"]) == "")
            for address in TemporaryServer.strangers { try await server.must("forget", address) }
            try await server.expectAnswers()
        }
    }

    @Test("a file made by iptables-save beside entries is applied without them", arguments: TestBackend.installed)
    func handWritten(_ backend: TestBackend) async throws {
        let test = TemporaryCase(backend: backend, existing: .keep)
        try await TemporaryServer.with(test) { server in
            for address in TemporaryServer.strangers { try await server.must("allow", address, "7/tcp") }
            let dump = try await server.machine.dump(.ipv4)
            #expect(dump.contains("latchkey-temporary"))
            let file = try server.machine.root.write(dump.replacing("443", with: "444"), to: "own.rules")
            try await server.must("apply", "--rules", file, "--backend", backend.rawValue, "--no-rehearsal", "--detach")
            #expect(try await server.outside.reachesByBoth(7))
            try await server.must("confirm")
            #expect(try await server.outside.reachesByBoth(7))
            #expect(try await server.machine.status().truth("drift") == false)
            for address in TemporaryServer.strangers { try await server.must("forget", address) }
            try await server.expectAnswers()
        }
    }

    /// The files that are loaded at boot, with their content.
    private func bootFiles(_ machine: Machine) async throws -> String {
        try await machine.namespace.mustRun([
            "sh", "-c",
            "cd \(machine.root.path); for f in $(find etc var/lib/latchkey/restore -type f | sort); do cat \"$f\"; done",
        ])
    }
}
