import Foundation

/// The checkout that these tests were built from.
enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The Swift files under a folder, as paths from the root.
    static func swiftFiles(under folders: String...) throws -> [String] {
        try folders.flatMap { folder in
            try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: folder).path)
                .filter { $0.hasSuffix(".swift") }.map { "\(folder)/\($0)" }
        }.sorted()
    }

    static func lines(of file: String) throws -> [Substring] {
        try String(contentsOf: root.appending(path: file), encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The modules that a file imports.
    static func imports(of file: String) throws -> Set<String> {
        Set(
            try lines(of: file).compactMap { line in
                let words = line.split(separator: " ").drop { $0.hasPrefix("@") || accessLevels.contains($0) }
                guard words.first == "import", let name = words.last else { return nil }
                // `import struct Foundation.URL` imports Foundation.
                return name.split(separator: ".").first.map(String.init)
            })
    }

    private static let accessLevels: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
}

/// The package as SwiftPM understands it (`swift package dump-package`).
struct PackageDescription: Decodable {
    struct Target: Decodable {
        let name: String
        let type: String
        let dependencies: [Dependency]
    }

    /// `{"byName": ["Host", null]}` or `{"product": ["Logging", "swift-log", null, null]}`.
    struct Dependency: Decodable {
        let name: String
        /// The package that provides a product; nil for a target of this package.
        let package: String?

        init(from decoder: any Decoder) throws {
            let kinds = try decoder.singleValueContainer().decode([String: [Part]].self)
            package = kinds["product"]?.dropFirst().first?.text
            guard let name = kinds.values.first?.first?.text else {
                throw DecodingError.dataCorrupted(
                    .init(codingPath: decoder.codingPath, debugDescription: "a dependency without a name"))
            }
            self.name = name
        }

        private struct Part: Decodable {
            let text: String?
            init(from decoder: any Decoder) throws { text = try? decoder.singleValueContainer().decode(String.self) }
        }
    }

    /// `{"sourceControl": [{"identity": "swift-log", ...}]}`.
    struct PackageDependency: Decodable {
        struct Source: Decodable {
            let identity: String
        }

        let sourceControl: [Source]
        var identity: String { sourceControl.first?.identity ?? "" }
    }

    let targets: [Target]
    let dependencies: [PackageDependency]

    /// Runs SwiftPM, which only reads the manifest for this.
    ///
    /// It uses a separate scratch folder: the usual one is locked by the `swift test` that runs this.
    static func current() throws -> Self {
        let scratch = FileManager.default.temporaryDirectory.appending(path: "latchkey-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let swift = Process()
        swift.executableURL = URL(filePath: "/usr/bin/env")
        swift.arguments = ["swift", "package", "--scratch-path", scratch.path, "dump-package"]
        swift.currentDirectoryURL = Repository.root
        let output = Pipe()
        swift.standardOutput = output
        swift.standardInput = FileHandle.nullDevice
        try swift.run()
        let description = try output.fileHandleForReading.readToEnd() ?? Data()
        swift.waitUntilExit()
        return try JSONDecoder().decode(Self.self, from: description)
    }
}
