import Foundation
import TestSupport
import Testing

/// The rules of a pending change as iptables-save prints them: gates, and the chains that they lead to.
enum PendingRules {
    /// A dump without them: what was there before, unless somebody touched it.
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
    /// What the kernel shows of the gates' lists of a family; nil where no rule names one.
    func gateList(_ family: IPFamily) -> String? {
        let folder = "/proc/\(holderID)/net/xt_recent"
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter {
            $0.hasPrefix(family == .ipv4 ? "latchkey4" : "latchkey6")
        }
        guard !names.isEmpty else { return nil }
        // One that is gone by now is empty.
        return names.map { (try? String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8)) ?? "" }.joined()
    }

    /// Whether no gate of any family is open, as the lists tell; one that is not there is closed.
    var areGateListsEmpty: Bool {
        IPFamily.allCases.allSatisfy { !(gateList($0) ?? "").contains("src=") }
    }

    /// Whether a TCP packet to a port of the server where nobody listens is answered with a reset: it has passed the
    /// rules then.
    func reaches(_ port: Int, _ family: IPFamily, patience: Int = 1) async throws -> Bool {
        let address = NamespacePair.bare(NamespacePair.serverAddresses, family)
        let knock = try await run([
            "timeout", "\(patience)", "bash", "-c", "exec 3<>/dev/tcp/\(address)/\(port)",
        ])
        // 124: timeout(1) ended a connection attempt that nobody answered.
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

    /// Expects a pending change to stand on top of rules that nobody has touched.
    func expectPending(on before: String, at location: SourceLocation = #_sourceLocation) async throws {
        #expect(try await previousRules() == before, "the previous rules stay loaded", sourceLocation: location)
        #expect(PendingRules.areIn(try await rules()), "the new rules are loaded", sourceLocation: location)
        #expect(!namespace.areGateListsEmpty, "a gate is open", sourceLocation: location)
    }

    /// Expects rules to decide that were there before a change, and its own to be tidied away soon.
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
