import Foundation

/// The program itself, which the build places beside the test bundle.
package enum Latchkey {
    /// The absolute path of the built `latchkey`.
    package static let path: String = {
        // /proc/self/exe is BUILD/latchkeyPackageTests.xctest, or a helper of the toolchain that loads it.
        let own = readLink("/proc/self/exe") ?? ""
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? ""
        let folders = [own, bundle].map { String($0[..<($0.lastIndex(of: "/") ?? $0.startIndex)]) }
        let beside = folders.map { $0 + "/latchkey" }
        return beside.first { FileManager.default.isExecutableFile(atPath: $0) } ?? beside[0]
    }()

    /// The variables that keep all of latchkey's files under a folder of the test.
    package static func environment(root: TemporaryFolder) -> [String: String] {
        ["LATCHKEY_ROOT": root.path]
    }

    /// Runs latchkey to its end: inside `namespace`, or without one for commands that read no rules.
    package static func run(
        _ arguments: [String], root: TemporaryFolder, in namespace: NetworkNamespace? = nil, input: [UInt8] = [],
        environment: [String: String] = [:], timeout: Duration = .seconds(60)
    ) async throws -> Finished {
        let variables = self.environment(root: root).merging(environment) { $1 }
        let words = [path] + arguments
        if let namespace {
            return try await namespace.run(words, input: input, environment: variables, timeout: timeout)
        }
        return try await TestSupport.run(words, input: input, environment: variables, timeout: timeout)
    }
}

/// A folder that is removed with its owner.
package final class TemporaryFolder: Sendable {
    package let path: String

    /// Creates an empty folder that only its owner can access.
    package init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("latchkey-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        path = url.path
    }

    /// Writes a file below the folder and creates the folders in between; returns its absolute path.
    @discardableResult
    package func write(_ text: String, to relative: String, mode: Int = 0o600) throws -> String {
        let url = URL(fileURLWithPath: path).appendingPathComponent(relative)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        try Data(text.utf8).write(to: url)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: url.path)
        return url.path
    }

    /// The text of a file below the folder.
    package func read(_ relative: String) throws -> String {
        try String(contentsOf: URL(fileURLWithPath: path).appendingPathComponent(relative), encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
