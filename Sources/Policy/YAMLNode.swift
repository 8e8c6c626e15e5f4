/// A value in a YAML file, with its place.
package struct YAMLNode: Sendable {
    /// The content of the value.
    package enum Content: Sendable {
        /// Text as it was written, without guessing a type; `quoted` distinguishes `"22"` from `22`.
        case scalar(String, quoted: Bool)
        case sequence([YAMLNode])
        case mapping([Entry])
        /// Something that was already refused and reported; it causes no further mistakes.
        case refused
    }

    /// A key and its value.
    package struct Entry: Sendable {
        /// The key; its content is a scalar.
        package let key: YAMLNode
        /// The value.
        package let value: YAMLNode

        /// The key as text.
        package var name: String { key.text }
    }

    /// The content of the value.
    package let content: Content
    /// The line, counted from 1.
    package let line: Int
    /// The column, counted from 1 in characters.
    package let column: Int
    /// The scalar's text, or the first line of a list or mapping as written in the file.
    package let text: String

    /// What it is, in plain words.
    package var kind: String {
        switch content {
        case .scalar("", quoted: false): "nothing"
        case .scalar: "text"
        case .sequence: "a list"
        case .mapping: "a group of keys"
        case .refused: "something refused"
        }
    }

    /// Whether there is nothing after the key or the dash.
    package var isEmpty: Bool {
        if case .scalar("", quoted: false) = content { true } else { false }
    }
}
