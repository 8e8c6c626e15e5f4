import Foundation
import TestSupport
import Testing

/// A boot at which a file with kept rules of iptables, or their sets, are missing.
@Suite("Boot without a file", .kernel, .inTurn, .tool("ipset"))
struct BootFallbackTests {
    private static let folder = "var/lib/latchkey/restore"

    /// More addresses than rules: these become a set.
    private static let crowd = (1...9).map { "203.0.113.\($0)" }.joined(separator: ", ")

    private static func answers(_ more: String) -> String {
        "version: 1\nservices: [web]\nexisting: keep\n\(more)\n"
    }

    /// Keeps rules, removes a file, and boots: the machine has no rules and no sets, and the unit runs.
    private func boot(
        _ machine: Machine, _ answers: String, without file: String, empty: Bool = false
    ) async throws -> Finished {
        let path = try machine.root.write(Self.answers(answers), to: "boot.yaml")
        NFTablesTests.expectDone(
            try await machine.latchkey(
                "apply", "--answers", path, "--no-rehearsal", "--detach", "--deadline", "5m", "--backend",
                machine.backend.rawValue))
        NFTablesTests.expectDone(try await machine.latchkey("confirm"))
        try await until("the end of the guard") { machine.processes("guard").isEmpty }
        for family in IPFamily.allCases {
            try await machine.iptables("-P INPUT ACCEPT", family)
            try await machine.iptables("-F", family)
        }
        try await machine.namespace.mustRun(["ipset", "destroy"])
        let there = "\(machine.root.path)/\(Self.folder)/\(file)"
        #expect(FileManager.default.fileExists(atPath: there))
        try FileManager.default.removeItem(atPath: there)
        if empty { try machine.root.write("", to: "\(Self.folder)/\(file)") }
        return try await BootTests().boot(machine, in: machine.namespace)
    }

    @Test(
        "without the sets, the rules that name none are loaded, and status names the file",
        arguments: TestBackend.installed)
    func sets(backend: TestBackend) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            let run = try await boot(machine, "admins: [\(Self.crowd)]", without: "ipsets")
            #expect(run.status != 0, "the unit fails")
            #expect(run.errors.contains("/\(Self.folder)/ipv4.rules cannot be loaded."), "\(run.errors)")
            for open in [22, 80] { #expect(try await outside.reachesByBoth(open), "\(open) is open") }
            #expect(try await outside.reachesByNeither(9999))
            let status = try await machine.latchkey("status").output
            #expect(status.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains("Missing or empty: "))
            #expect(status.contains("ipsets"), "\(status)")
        }
    }

    @Test(
        "where the missing set blocks addresses, only SSH and admins stay open", arguments: TestBackend.installed)
    func blocked(backend: TestBackend) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            _ = try await boot(machine, "admins: []\nblock: [\(Self.crowd)]", without: "ipsets")
            #expect(try await outside.reaches(22, .ipv4))
            for closed in [80, 9999] { #expect(try await !outside.reaches(closed, .ipv4), "\(closed) is closed") }
            // IPv6 blocks nothing: it is whole.
            #expect(try await outside.reaches(80, .ipv6))
            #expect(try await !outside.reaches(9999, .ipv6))
        }
    }

    @Test(
        "SSH that only the addresses of a missing set may reach is open rather than closed to everyone",
        arguments: TestBackend.installed)
    func loginsBySet(backend: TestBackend) async throws {
        for ssh in ["admins", "[\(Self.crowd)]"] {
            try await Machine.withOutside(backend) { machine, outside in
                let admins = ssh == "admins" ? "admins: [\(Self.crowd)]" : "admins: []"
                _ = try await boot(machine, "\(admins)\nssh: { ports: [22], from: \(ssh) }", without: "ipsets")
                #expect(try await outside.reaches(22, .ipv4))
                #expect(try await outside.reaches(80, .ipv4))
                #expect(try await !outside.reaches(9999, .ipv4))
                // Nobody was to log in by IPv6.
                #expect(try await !outside.reaches(22, .ipv6))
            }
        }
    }

    @Test(
        "without the rules of a family, or with an empty file, SSH and admins stay open and the rest closed",
        arguments: TestBackend.installed, [false, true])
    func rules(backend: TestBackend, empty: Bool) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            for family in IPFamily.allCases {
                let name = family == .ipv4 ? "ipv4.rules" : "ipv6.rules"
                let run = try await boot(machine, "admins: [192.168.1.33]", without: name, empty: empty)
                #expect(run.status != 0)
                #expect(try await outside.reaches(22, family))
                for closed in [80, 9999] { #expect(try await !outside.reaches(closed, family), "\(closed)") }
                #expect(try await machine.latchkey("status").output.contains(name))
            }
        }
    }

    @Test("nftables: SSH that only the admins of a set may reach is open rather than closed to everyone")
    func nftables() async throws {
        try await Machine.withOutside(.nft) { machine, outside in
            let answers = Self.answers("admins: [\(Self.crowd)]\nssh: { ports: [22], from: admins }")
            NFTablesTests.expectDone(try await NFTablesTests.apply(machine, answers, "--detach"))
            NFTablesTests.expectDone(try await machine.latchkey("confirm"))
            let file = "\(Self.folder)/nftables.rules"
            try machine.root.write(try machine.root.read(file) + "oops\n", to: file)
            try await machine.nft("flush ruleset")
            #expect(try await BootTests().boot(machine, in: machine.namespace).status != 0)
            #expect(try await outside.reaches(22, .ipv4))
            for closed in [80, 9999] { #expect(try await !outside.reaches(closed, .ipv4), "\(closed) is closed") }
        }
    }

    @Test("hand-written rules: a missing file leaves SSH open and the rest closed", arguments: TestBackend.installed)
    func handWritten(backend: TestBackend) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            let rules = try machine.root.write(
                "*filter\n:INPUT DROP\n:mine -\n-A INPUT -j mine\n-A mine -p tcp --dport 22 -j ACCEPT\n"
                    + "-A mine -p tcp --dport 80 -j ACCEPT\nCOMMIT\n", to: "four.rules")
            NFTablesTests.expectDone(
                try await machine.latchkey(
                    "apply", "--rules", rules, "--no-rehearsal", "--detach", "--backend", backend.rawValue))
            NFTablesTests.expectDone(try await machine.latchkey("confirm"))
            try FileManager.default.removeItem(atPath: "\(machine.root.path)/\(Self.folder)/ipv4.rules")
            try await machine.iptables("-P INPUT ACCEPT")
            try await machine.iptables("-F")
            #expect(try await BootTests().boot(machine, in: machine.namespace).status != 0)
            #expect(try await outside.reaches(22, .ipv4))
            for closed in [80, 9999] { #expect(try await !outside.reaches(closed, .ipv4), "\(closed) is closed") }
        }
    }
}
