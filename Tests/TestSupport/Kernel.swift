import Glibc
import Testing

/// What this machine's kernel and tools allow a test to do.
package enum Kernel {
    /// Set to 1 where tests that need the kernel may not be skipped.
    private static let required = getenv("LATCHKEY_REQUIRE_KERNEL").map { String(cString: $0) } == "1"

    /// Why tests that need the kernel cannot run here, or nil.
    package static let shortage: String? =
        TestBackend.installed.isEmpty
        ? "neither iptables-nft nor iptables-legacy works in a network namespace made here: "
            + (TestBackend.allCases.compactMap(shortage(of:)).joined(separator: "; "))
        : nil

    /// Why a backend cannot be used here, or nil.
    package static func shortage(of backend: TestBackend) -> String? {
        shortages[backend] ?? nil
    }

    private static let shortages: [TestBackend: String?] = {
        var shortages: [TestBackend: String?] = [:]
        for backend in TestBackend.allCases { shortages[backend] = backend.shortageNow() }
        return shortages
    }()

    /// The trait's condition: true to run, false to skip.
    /// - Throws: `SpawnError` instead of skipping where a skip would be a failure.
    static func mayRun(despite shortage: String?) throws -> Bool {
        guard let shortage else { return true }
        if required { throw SpawnError("LATCHKEY_REQUIRE_KERNEL=1, but \(shortage)") }
        return false
    }
}

extension Trait where Self == ConditionTrait {
    /// The test or suite needs namespaces and iptables: elsewhere it is skipped with the reason.
    ///
    /// With LATCHKEY_REQUIRE_KERNEL=1 in the environment it fails instead.
    package static var kernel: Self {
        .enabled(Comment(rawValue: Kernel.shortage ?? "namespaces and iptables are available")) {
            try Kernel.mayRun(despite: Kernel.shortage)
        }
    }

    /// The test needs something else from this machine; elsewhere it is skipped, or fails, as with `kernel`.
    ///
    /// - Parameters:
    ///   - need: what it needs, in words.
    ///   - shortage: why it is not available here, or nil.
    /// - Returns: the trait.
    package static func needing(_ need: String, despite shortage: String?) -> Self {
        .enabled(Comment(rawValue: shortage ?? "\(need): available")) { try Kernel.mayRun(despite: shortage) }
    }

    /// The test needs root.
    package static var root: Self { .needing("root", despite: geteuid() == 0 ? nil : "only root can do this") }

    /// The test needs a program.
    package static func tool(_ name: String) -> Self {
        .needing(name, despite: (try? Tool.path(name)) == nil ? "'\(name)' is missing" : nil)
    }
}

/// The two iptables backends, for tests.
package enum TestBackend: String, CaseIterable, Codable, Sendable, CustomTestStringConvertible {
    case nft, legacy

    /// The backends that work here; all of them where a skip would be a failure, so that a missing one is noticed.
    package static let installed: [TestBackend] = allCases.filter { backend in
        (try? Kernel.mayRun(despite: Kernel.shortage(of: backend))) ?? true
    }

    /// A tool of this backend: `tool(.ipv4, "save")` is iptables-nft-save or iptables-legacy-save.
    package func tool(_ family: IPFamily, _ action: String? = nil) -> String {
        [family.iptables, rawValue, action].compactMap(\.self).joined(separator: "-")
    }

    package var testDescription: String { "iptables-\(rawValue)" }

    /// Tries the backend once in a separate namespace; blocks for some milliseconds.
    fileprivate func shortageNow() -> String? {
        for family in IPFamily.allCases {
            do {
                let null = open("/dev/null", O_RDWR | O_CLOEXEC)
                defer { close(null) }
                let words = NetworkNamespace.unshare + [try Tool.path(tool(family, "save"))]
                let lock = ["XTABLES_LOCKFILE": "/tmp/latchkey-test-\(getpid()).lock"]
                defer { unlink("/tmp/latchkey-test-\(getpid()).lock") }
                let child = try Child.start(words, input: null, output: null, errors: null, environment: lock)
                var status: Int32 = 0
                waitpid(child.id, &status, 0)
                guard status == 0 else { return "\(words.joined(separator: " ")) fails with wait status \(status)" }
            } catch {
                return "\(error)"
            }
        }
        return nil
    }
}

/// The two address families.
///
/// Netfilter's own type is not available: TestSupport also serves that module's tests.
package enum IPFamily: String, CaseIterable, Codable, Sendable, CustomTestStringConvertible {
    case ipv4, ipv6

    package var iptables: String { self == .ipv4 ? "iptables" : "ip6tables" }
    package var testDescription: String { rawValue }
}
