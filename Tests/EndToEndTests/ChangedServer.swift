import Foundation
import TestSupport
import Testing

/// A throwaway server with rules of several owners, on which the built latchkey makes changes.
struct ChangedServer {
    let namespace: NetworkNamespace
    let root: TemporaryFolder
    let backend: TestBackend

    /// Rules as fail2ban, Docker and an administrator would have left them.
    static let rules = """
        *filter
        :INPUT ACCEPT [7:800]
        :FORWARD DROP [0:0]
        :OUTPUT ACCEPT [0:0]
        :f2b-sshd - [0:0]
        [5:300] -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
        [1:60] -A INPUT -p tcp -m tcp --dport 9 -j DROP
        [0:0] -A f2b-sshd -j RETURN
        COMMIT
        *mangle
        :PREROUTING ACCEPT [0:0]
        :INPUT ACCEPT [0:0]
        :FORWARD ACCEPT [0:0]
        :OUTPUT ACCEPT [0:0]
        :POSTROUTING ACCEPT [0:0]
        [3:180] -A OUTPUT -p tcp -m tcp --dport 443 -j MARK --set-xmark 0x1/0xffffffff
        COMMIT

        """

    static let answers = "version: 1\nadmins: [192.0.2.9]\nservices: [web]\nexisting: replace\n"

    init(_ backend: TestBackend) async throws {
        self.backend = backend
        namespace = try await NetworkNamespace()
        root = try TemporaryFolder()
        for family in IPFamily.allCases {
            try await namespace.mustRun([backend.tool(family, "restore"), "-c"], input: Array(Self.rules.utf8))
        }
    }

    /// Runs latchkey here.
    func latchkey(_ arguments: String..., input: String = "") async throws -> Finished {
        try await Latchkey.run(arguments, root: root, in: namespace, input: Array(input.utf8))
    }

    /// Runs latchkey here and returns its output; it must exit with 0.
    @discardableResult
    func must(_ arguments: String..., input: String = "") async throws -> String {
        let finished = try await Latchkey.run(arguments, root: root, in: namespace, input: Array(input.utf8))
        guard finished.status == 0 else {
            throw SpawnError("latchkey \(arguments) ended with \(finished.status): \(finished.errors)")
        }
        return finished.output
    }

    /// Applies answers without confirming them; returns the name of the change.
    @discardableResult
    func apply(_ answers: String = answers, deadline: String = "60") async throws -> String {
        let said = try await must(
            "apply", "--answers", "-", "--backend", backend.rawValue, "--no-rehearsal", "--deadline", deadline,
            "--detach", "--json", input: answers)
        return try Self.json(ChangeID.self, said).change
    }

    /// Makes a change and keeps it; returns its name, which is that of the snapshot before it.
    @discardableResult
    func keep(_ answers: String = answers) async throws -> String {
        let id = try await apply(answers)
        try await must("confirm", "--same-connection")
        return id
    }

    /// Everything that iptables-save prints, without dates and counters.
    func dump() async throws -> String {
        try await namespace.dump(.ipv4, backend) + namespace.dump(.ipv6, backend)
    }

    /// The text of a file below the root, as it is inside the namespace.
    func read(_ path: String) async throws -> String { try await namespace.mustRun(["cat", root.path + path]) }

    /// Runs a shell script inside, with the root's path in `$R`.
    @discardableResult
    func shell(_ script: String) async throws -> String {
        try await namespace.mustRun(["sh", "-euc", script], environment: ["R": root.path])
    }

    /// The names of the snapshots.
    func snapshots() async throws -> [String] {
        try Self.json([SnapshotID].self, try await must("snapshots", "list", "--json")).map(\.snapshot)
    }

    /// The machine's state, for example `kept`.
    func state() async throws -> String {
        try Self.json(StateName.self, try await must("status", "--json")).state
    }

    static func json<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }

    private struct ChangeID: Decodable { let change: String }
    private struct SnapshotID: Decodable { let snapshot: String }
    private struct StateName: Decodable { let state: String }
}
