import Foundation
import TestSupport
import Testing

/// What packets meet while temporary entries are there.
@Suite("latchkey allow, block and forget", .kernel, .tool("ipset"), .inTurn)
struct TemporaryTests {
    @Test("an allowed source gets in until the kernel ends it", arguments: Sampled.cases(TemporaryCase.all, oneOf: 2))
    func timed(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            try await server.expectAnswers()
            for network in TemporaryServer.networks { try await server.must("allow", network, "--for", "8s") }
            #expect(try await server.outside.reachesByBoth(7))
            #expect(try await server.listed() == TemporaryServer.networks.map { "allow \($0)" })
            try await until("the end of the entries", within: .seconds(20)) {
                try await server.outside.reachesByNeither(7)
            }
            #expect(try await server.listed() == [])
            try await server.expectAnswers()
            // A source that is allowed again gets the new time.
            for address in TemporaryServer.strangers { try await server.must("allow", address, "--for", "3s") }
            for address in TemporaryServer.strangers { try await server.must("allow", address, "--for", "1h") }
            try await Task.sleep(for: .seconds(4))
            #expect(try await server.outside.reachesByBoth(7))
            let left = try await server.machine.status().objects("temporary")?.compactMap { $0.number("secondsLeft") }
            #expect(left?.count == 2 && left?.allSatisfy { (3_500...3_600).contains($0) } == true)
        }
    }

    @Test(
        "a source that is allowed a port or a service reaches nothing else",
        arguments: Sampled.cases(TemporaryCase.backends, oneOf: 2))
    func ports(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            let (four, six) = (TemporaryServer.strangers[0], TemporaryServer.strangers[1])
            for (source, what) in [
                (four, "7/tcp"), (six, "7/tcp"), (TemporaryServer.networks[0], "mail"), (six, "mail"),
            ] {
                try await server.must("allow", source, what, "--for", "1h")
            }
            for network in TemporaryServer.networks { try await server.must("allow", network, "60000-60003/tcp") }
            for port in [7, 25, 587, 60_000, 60_003] {
                #expect(try await server.outside.reachesByBoth(port), "\(port)")
            }
            for port in [9, 26, 59_999, 60_004] { #expect(try await server.outside.reachesByNeither(port), "\(port)") }
            let entries = try await server.machine.status().objects("temporary") ?? []
            #expect(entries.filter { $0.text("service") == "mail" }.count == 2)
            #expect(entries.contains { $0.texts("what") == ["60000-60003/tcp"] && $0.number("secondsLeft") == nil })
            let said = try await server.must("status").output.split(whereSeparator: \.isWhitespace).joined(
                separator: " ")
            #expect(said.contains("Temporary: \(four) may reach 7/tcp, 59 min"), "\(said)")
            #expect(said.contains("Temporary: 198.51.100.0/24 may reach 60000-60003/tcp until reboot."), "\(said)")
            try await server.send(from: NamespacePair.gateways)
            for port in [7, 25] { #expect(try await server.outside.reachesByNeither(port), "\(port)") }
        }
    }

    @Test(
        "a blocked source is dropped, but its replies, others and admins are not, and what is allowed wins",
        arguments: Sampled.cases(TemporaryCase.all, oneOf: 2))
    func blocked(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            let before = try await server.state()
            for network in TemporaryServer.networks { try await server.must("block", network) }
            #expect(try await server.outside.reachesByNeither(80))
            #expect(try await server.machine.namespace.reaches(9, to: TemporaryServer.strangers))
            #expect(try await server.listed() == TemporaryServer.networks.map { "block \($0)" })
            try await server.send(from: NamespacePair.gateways)
            try await server.expectAnswers()
            try await server.send(from: NamespacePair.admins)
            #expect(try await server.outside.reachesByBoth(7))

            try await server.send(from: NamespacePair.strangers)
            for address in TemporaryServer.strangers { try await server.must("allow", address, "9/tcp") }
            #expect(try await server.outside.reachesByBoth(9))
            #expect(try await server.outside.reachesByNeither(80))
            for address in TemporaryServer.strangers { try await server.must("forget", address) }
            #expect(try await server.outside.reachesByNeither(9))
            for network in TemporaryServer.networks { try await server.must("forget", network) }
            try await server.expectAnswers()
            #expect(try await server.state() == before, "nothing of the entries is left")
        }
    }

    @Test("entries made at the same time are all there", arguments: Sampled.cases(TemporaryCase.backends, oneOf: 2))
    func together(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            let sources = (1...5).map { "203.0.113.\($0)" } + (1...3).map { "2001:db8:7:\($0)::/64" }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for source in sources {
                    group.addTask { try await server.must("allow", source, "7/tcp", "--for", "1h") }
                }
                try await group.waitForAll()
            }
            #expect(try await server.listed() == sources.map { "allow \($0) 7/tcp" })
        }
    }

    @Test("status says that another program has flushed the rules of entries", arguments: TestBackend.installed)
    func flushed(_ backend: TestBackend) async throws {
        try await TemporaryServer.with(TemporaryCase(backend: backend, existing: .keep)) { server in
            for network in TemporaryServer.networks { try await server.must("block", network) }
            let words = "The temporary entries are not in effect"
            #expect(try await !server.must("status").output.contains(words))
            try await server.machine.iptables("-D INPUT 1")
            #expect(try await server.must("status").output.contains(words))
            #expect(try await server.outside.reaches(80, .ipv4))
            try await server.must("block", TemporaryServer.networks[0], "--for", "1h")
            #expect(try await !server.must("status").output.contains(words))
            #expect(try await server.outside.reachesByNeither(80))
        }
    }

    @Test("a source is in one list only", arguments: Sampled.cases(TemporaryCase.backends, oneOf: 2))
    func moved(_ test: TemporaryCase) async throws {
        try await TemporaryServer.with(test) { server in
            let (four, six) = (TemporaryServer.strangers[0], TemporaryServer.strangers[1])
            for address in [four, six] {
                try await server.must("allow", address, "web")
                try await server.must("allow", address, "7/tcp", "--for", "2h")
                let said = try await server.must("block", address).errors
                #expect(said.contains("It replaces: \(address) may reach 7/tcp"), "\(said)")
            }
            #expect(try await server.outside.reachesByNeither(80))
            #expect(try await server.listed() == ["block \(four)", "block \(six)"])
            for address in [four, six] { try await server.must("allow", address) }
            #expect(try await server.outside.reachesByBoth(7))
            #expect(try await server.listed() == ["allow \(four)", "allow \(six)"])
            let forgotten = try JSON(await server.must("forget", four, "--json"))
            #expect(forgotten.text("source") == four)
            #expect(forgotten.objects("forgotten")?.map { $0.text("verdict") } == ["allow"])
            #expect(try await server.listed() == ["allow \(six)"])
            let made = try JSON(await server.must("allow", four, "53/udp", "--for", "90m", "--json"))
            #expect(made.text("verdict") == "allow" && made.texts("what") == ["53/udp"])
            #expect(made.number("secondsLeft") == 5_400 && made.text("source") == four)
            let forever = try JSON(await server.must("block", "203.0.113.0/24", "--json"))
            #expect(forever.kinds["what"] == "null" && forever.kinds["secondsLeft"] == "null")
        }
    }
}

extension NetworkNamespace {
    /// Whether connections to these addresses get an answer.
    fileprivate func reaches(_ port: Int, to addresses: [String]) async throws -> Bool {
        for address in addresses {
            let knock = try await run(["timeout", "3", "bash", "-c", "exec 3<>/dev/tcp/\(address)/\(port)"])
            if knock.status == 124 { return false }
        }
        return true
    }
}
