import Foundation
import TestSupport
import Testing

/// The rules of a pending change as iptables-save prints them: gates, and the chains that they lead to.
enum PendingRules {
    /// A dump without them: the rules from before, unless they were changed since.
    static func removed(from dump: String) -> String {
        dump.split(separator: "\n", omittingEmptySubsequences: false).filter { !isPending($0) }
            .joined(separator: "\n")
    }

    /// The gates in a dump.
    static func gates(in dump: String) -> [String] {
        dump.split(separator: "\n").filter { $0.contains("--comment \"latchkey: trial\"") && !isInside($0) }
            .map(String.init)
    }

    /// Whether a dump holds any of them.
    static func areIn(_ dump: String) -> Bool { dump.split(separator: "\n").contains(where: isPending) }

    private static func isPending(_ line: Substring) -> Bool {
        isInside(line) || line.contains("--comment \"latchkey: trial\"")
    }

    private static func isInside(_ line: Substring) -> Bool {
        line.hasPrefix(":latchkey-trial") || line.hasPrefix("-A latchkey-trial")
    }
}

extension NetworkNamespace {
    /// The kernel's list of a family's gates; nil where no rule uses one.
    func gateList(_ family: IPFamily) -> String? {
        let folder = "/proc/\(holderID)/net/xt_recent"
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter {
            $0.hasPrefix(family == .ipv4 ? "latchkey4" : "latchkey6")
        }
        guard !names.isEmpty else { return nil }
        // A list that is gone by now is empty.
        return names.map { (try? String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8)) ?? "" }.joined()
    }

    /// Whether no gate of any family is open, according to the lists; a missing list is closed.
    var areGateListsEmpty: Bool {
        IPFamily.allCases.allSatisfy { !(gateList($0) ?? "").contains("src=") }
    }

    /// Whether a TCP packet to an unused port of the server is answered with a reset: it has then passed the
    /// rules.
    func reaches(_ port: Int, _ family: IPFamily, patience: Int = 1) async throws -> Bool {
        let address = NamespacePair.bare(NamespacePair.serverAddresses, family)
        let knock = try await run([
            "timeout", "\(patience)", "bash", "-c", "exec 3<>/dev/tcp/\(address)/\(port)",
        ])
        // 124: timeout(1) ended a connection attempt without an answer.
        return knock.status != 124
    }

    /// Whether it passes in both families; the answer comes at once, unless this machine is busy.
    func reachesByBoth(_ port: Int) async throws -> Bool {
        async let six = reaches(port, .ipv6, patience: 3)
        let four = try await reaches(port, .ipv4, patience: 3)
        return try await six && four
    }

    /// Whether it passes in neither.
    func reachesByNeither(_ port: Int) async throws -> Bool {
        async let six = reaches(port, .ipv6)
        let four = try await reaches(port, .ipv4)
        return try await !six && !four
    }
}

extension Machine {
    /// The rules of both families without those of a pending change.
    func previousRules() async throws -> String {
        var all = ""
        for family in IPFamily.allCases {
            all += "\(family)\n" + EarlierRules.withoutEmptyTables(PendingRules.removed(from: try await dump(family)))
        }
        return all
    }

    /// Expects the pending rules to be loaded before unchanged previous rules.
    func expectPending(on before: String, at location: SourceLocation = #_sourceLocation) async throws {
        #expect(try await previousRules() == before, "the previous rules stay loaded", sourceLocation: location)
        #expect(PendingRules.areIn(try await rules()), "the new rules are loaded", sourceLocation: location)
        #expect(!namespace.areGateListsEmpty, "a gate is open", sourceLocation: location)
    }

    /// Expects the previous rules to be active, and the pending ones to be removed soon.
    func expectBack(_ before: String, at location: SourceLocation = #_sourceLocation) async throws {
        #expect(try await previousRules() == before, sourceLocation: location)
        #expect(namespace.areGateListsEmpty, "the gates are closed", sourceLocation: location)
        try await until("the end of the pending rules") { try await !PendingRules.areIn(rules()) }
        #expect(try await rules() == before, sourceLocation: location)
    }

    /// Expects nothing of a pending change to be left: no gate, no chain of its own, no list.
    func expectNoGate(at location: SourceLocation = #_sourceLocation) async throws {
        #expect(!PendingRules.areIn(try await rules()), sourceLocation: location)
        for family in IPFamily.allCases {
            #expect(namespace.gateList(family) == nil, "the list is gone", sourceLocation: location)
        }
    }
}
