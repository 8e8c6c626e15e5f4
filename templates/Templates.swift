/// A file that was built into the binary.
package struct EmbeddedFile: Sendable {
    /// Its name without the folder, for example `web.yaml`.
    package let name: String
    /// Its text, as it is in `templates/`.
    package let text: String

    /// The bytes of the file.
    package var bytes: [UInt8] { Array(text.utf8) }
}

/// The templates that are inside the binary: every file in these folders when it was built.
package enum Templates {
    /// `templates/services`: one service a file.
    package static let services = servicesFolder
    /// `templates/rules`: the skeleton of a rule set; `ruleset.mustache` is its beginning.
    package static let rules = rulesFolder
    /// `templates/examples`: answers files to start from.
    package static let examples = examplesFolder
}
